package io.jacquard.tensor;

import io.jacquard.tensor.spi.Backend;
import io.jacquard.tensor.spi.Epilogue;
import io.jacquard.tensor.spi.Kernels;
import io.jacquard.tensor.spi.Work;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.ToDoubleFunction;

/// What a device does at best, measured on it by the kernels themselves: the rate of a large copy, and of square
/// matrix products. Measured at first use, in a session of its own, and kept as long as the process.
///
/// The rates are the best of some repeats. A kernel whose operands lie in a cache can pass the memory's.
public final class Roofline {
    /// A probe grows until one run takes this long: what the caches, the launch and the clock add is then small.
    private static final double ENOUGH_MICROS = 20_000;

    private static final int REPEATS = 5;

    private static final int FEWEST = 2;

    /// 1 GiB with its copy: no last-level cache holds it.
    private static final long MOST_BYTES = 512L << 20;

    private static final int MOST_ROWS = 8192;

    private static final Map<String, Roofline> MEASURED = new ConcurrentHashMap<>();

    private final String device;
    private final Map<DType, Double> teraflops = new EnumMap<>(DType.class);
    private double gigabytesPerSecond;

    private Roofline(String device) {
        this.device = device;
    }

    /// That of `cpu`, `cuda:0` ...
    ///
    /// @throws DeviceException if the device cannot be had
    public static Roofline of(String device) {
        return MEASURED.computeIfAbsent(Device.parse(device).toString(), Roofline::new);
    }

    /// Bytes read plus bytes written by a copy in the device's memory, in 10^9 a second.
    public synchronized double gigabytesPerSecond() {
        if (gigabytesPerSecond == 0) {
            gigabytesPerSecond = measured(Roofline::copyRate);
        }
        return gigabytesPerSecond;
    }

    /// Additions and multiplications of a matrix product of such operands, in 10^12 a second.
    public synchronized double teraflops(DType type) {
        return teraflops.computeIfAbsent(type, t -> measured(backend -> productRate(backend, t)));
    }

    private double measured(ToDoubleFunction<Backend> probe) {
        return Debug.without(() -> {
            try (Session session = Session.open(device)) {
                return probe.applyAsDouble(session.backend());
            }
        });
    }

    /// The least that `work` can take here, in microseconds: what its bytes or its multiply-adds alone take.
    public double micros(Work work) {
        return Math.max(memoryMicros(work), matrixMicros(work));
    }

    /// Whether the multiply-adds of `work` take longer here than its bytes.
    public boolean boundByMatrixUnit(Work work) {
        return matrixMicros(work) > memoryMicros(work);
    }

    private double memoryMicros(Work work) {
        return work.bytes() / gigabytesPerSecond() / 1e3;
    }

    private double matrixMicros(Work work) {
        DType type = work.matrix();
        return type == null ? 0 : work.operations() / teraflops(type) / 1e6;
    }

    private static double copyRate(Backend backend) {
        long most = Math.min(MOST_BYTES, backend.memoryBytes() / 16);
        for (long bytes = 1 << 20; ; bytes *= 2) {
            try (var _ = Scope.openWithoutGrad("copy probe")) {
                Shape shape = Shape.of(Math.toIntExact(bytes / 4));
                Tensor from = Tensor.empty(shape, DType.F32);
                Tensor to = Tensor.empty(shape, DType.F32);
                int[] sizes = shape.toArray();
                long[] strides = {1};
                Kernels k = backend.kernels();
                k.fill(from, 1f);
                k.fill(to, 1f);
                Runnable copy = () -> k.copy(to, 0, strides, from, 0, strides, sizes, 0f);
                double micros = best(backend, copy);
                if (micros > ENOUGH_MICROS || 2 * bytes > most) {
                    return 2 * bytes / micros / 1e3;
                }
            }
        }
    }

    private static double productRate(Backend backend, DType type) {
        double best = 0;
        for (int n = 64; ; n *= 2) {
            try (var _ = Scope.openWithoutGrad("matmul probe")) {
                Shape shape = Shape.of(n, n);
                Tensor a = Tensor.empty(shape, type);
                Tensor b = Tensor.empty(shape, type);
                Tensor out = Tensor.empty(shape, type);
                Kernels k = backend.kernels();
                k.random(a, 1f, 1, 1);
                k.random(b, 1f, 1, 2);
                Runnable product = () -> k.matmul(out, a, false, b, true, 0f, Epilogue.NONE);
                double micros = best(backend, product);
                best = Math.max(best, 2.0 * n * n * n / micros / 1e6);
                if (micros > ENOUGH_MICROS || 2 * n > MOST_ROWS) {
                    return best;
                }
            }
        }
    }

    /// The best of some runs, of fewer where they are long; the first loads and compiles, and does not count.
    private static double best(Backend backend, Runnable work) {
        backend.micros(work);
        double best = Double.POSITIVE_INFINITY;
        for (int i = 0; i < (best < REPEATS * ENOUGH_MICROS ? REPEATS : FEWEST); i++) {
            best = Math.min(best, backend.micros(work));
        }
        return best;
    }

    /// What was measured so far.
    @Override
    public synchronized String toString() {
        StringBuilder text = new StringBuilder(device);
        if (gigabytesPerSecond > 0) {
            text.append(String.format(Locale.ROOT, ", copy %.4g GB/s", gigabytesPerSecond));
        }
        teraflops.forEach((type, rate) -> text.append(String.format(
                Locale.ROOT, ", %s matmul %.4g TFLOP/s", type.name().toLowerCase(Locale.ROOT), rate)));
        return text.toString();
    }
}
