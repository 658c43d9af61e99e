package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.tensor.Tensor;
import java.io.PrintStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// `-Djacquard.cuda.trace=true`: a line for each launch, with the device's time between two events around it, the rate
/// at which that moves the operands once, and what this is of the memory's peak. The host waits for each launch.
///
/// Kernels that read operands several times, or part of them, have other true rates; what is launched by a graph is
/// not seen.
final class LaunchTrace implements AutoCloseable {
    private static final String PROPERTY = "jacquard.cuda.trace";

    private final Gpu gpu;
    private final PrintStream out;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment result = arena.allocate(JAVA_LONG);
    private final long start;
    private final long stop;

    private LaunchTrace(Gpu gpu, PrintStream out) {
        this.gpu = gpu;
        this.out = out;
        start = event();
        stop = event();
    }

    /// Null when nobody asked.
    static @Nullable LaunchTrace ifAsked(Gpu gpu) {
        return Boolean.getBoolean(PROPERTY) ? new LaunchTrace(gpu, System.err) : null;
    }

    private long event() {
        gpu.check(Calls.eventCreate(result.address(), 0), "cuEventCreate");
        return result.get(JAVA_LONG, 0);
    }

    void before() {
        gpu.check(Calls.eventRecord(start, gpu.stream()), "cuEventRecord");
    }

    void after(Kernel kernel, String grid, int threads, @Nullable Tensor[] operands, int count) {
        gpu.check(Calls.eventRecord(stop, gpu.stream()), "cuEventRecord");
        gpu.check(Calls.eventSynchronize(stop), "kernel " + kernel.name());
        gpu.check(Calls.eventElapsedTime(result.address(), start, stop), "cuEventElapsedTime");
        double micros = 1000.0 * result.get(JAVA_FLOAT, 0);
        long bytes = 0;
        StringBuilder shapes = new StringBuilder();
        for (int i = 0; i < count; i++) {
            Tensor t = operands[i];
            shapes.append(i == 0 ? "" : ", ").append(t);
            bytes += t == null ? 0 : t.bytes();
        }
        double gigabytes = bytes / micros / 1000;
        double peak = gpu.memoryGigabytesPerSecond();
        out.printf(
                Locale.ROOT,
                "%-32s %9.1f us %8.1f GB/s%s  %s x %d  %s%n",
                kernel.name(),
                micros,
                gigabytes,
                peak > 0 ? String.format(Locale.ROOT, " %3.0f%%", 100 * gigabytes / peak) : "",
                grid,
                threads,
                shapes);
    }

    @Override
    public void close() {
        int _ = Calls.eventDestroy(start);
        int _ = Calls.eventDestroy(stop);
        arena.close();
    }
}
