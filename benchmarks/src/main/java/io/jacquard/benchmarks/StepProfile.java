package io.jacquard.benchmarks;

import io.jacquard.tensor.Device;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Backend;
import io.jacquard.tensor.spi.BackendProvider;
import io.jacquard.tensor.spi.Kernels;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.concurrent.Callable;
import jdk.incubator.vector.FloatVector;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// Where a training step's time goes: every launch of the steps of [StepServer], timed by kernel and shape. The CPU
/// backend's launches return when they are done, so their times add up to the step.
@Command(
        name = "step-profile",
        mixinStandardHelpOptions = true,
        description = "Prints the time of each kernel and shape in a training step, and what share of it is matmul.")
public final class StepProfile implements Callable<Integer> {
    @Option(names = "--model", description = "char-gpt or gpt2-124m (default: ${DEFAULT-VALUE}).")
    private String model = "gpt2-124m";

    @Option(names = "--precision", description = "fp32 or bf16 (default: ${DEFAULT-VALUE}).")
    private String precision = "bf16";

    @Option(names = "--steps", description = "Steps to time (default: ${DEFAULT-VALUE}).")
    private int steps = 6;

    @Option(names = "--warmup", description = "Steps before (default: ${DEFAULT-VALUE}).")
    private int warmup = 4;

    private final Map<String, Launches> launches = new LinkedHashMap<>();
    private boolean timing;

    private static final class Launches {
        int count;
        long nanos;
        double flops;
    }

    public static void main(String[] args) {
        System.exit(new CommandLine(new StepProfile()).execute(args));
    }

    @Override
    public Integer call() {
        double fp32Peak = fp32Peak();
        List<Double> millis = new ArrayList<>();
        try (Session _ = Session.over(timed(cpu()))) {
            StepServer server = StepServer.create(model, precision);
            List<Float> losses = new ArrayList<>();
            for (int i = 0; i < warmup; i++) {
                server.step(new ArrayList<>(), losses);
            }
            timing = true;
            for (int i = 0; i < steps; i++) {
                server.step(millis, losses);
            }
        }
        report(millis.stream().mapToDouble(Double::doubleValue).average().orElseThrow(), fp32Peak);
        return 0;
    }

    private void report(double stepMillis, double fp32Peak) {
        System.out.printf(
                Locale.ROOT, "%10s %6s %6s %8s  %s%n", "ms a step", "share", "calls", "GFLOP/s", "kernel and shapes");
        double matmulMillis = 0;
        double matmulFlops = 0;
        List<Map.Entry<String, Launches>> slowest = new ArrayList<>(launches.entrySet());
        slowest.sort(Comparator.comparingLong(e -> -e.getValue().nanos));
        for (Map.Entry<String, Launches> e : slowest) {
            Launches l = e.getValue();
            double ms = l.nanos / 1e6 / steps;
            if (l.flops > 0) {
                matmulMillis += ms;
                matmulFlops += l.flops / steps;
            }
            System.out.printf(
                    Locale.ROOT,
                    "%10.2f %5.1f%% %6d %8s  %s%n",
                    ms,
                    100 * ms / stepMillis,
                    l.count / steps,
                    l.flops > 0 ? String.format(Locale.ROOT, "%.0f", l.flops / l.nanos) : "",
                    e.getKey());
        }
        // a 512-bit bf16 dot product has the throughput of the fp32 multiply-add and twice its operations
        double peak = fp32Peak
                * (precision.equals("bf16") ? 2 : 1)
                * Runtime.getRuntime().availableProcessors();
        System.out.printf(
                Locale.ROOT,
                "step %.0f ms; matmul %.0f ms (%.0f%%) at %.0f GFLOP/s; vector peak without AMX %.0f GFLOP/s, at which"
                        + " the matmuls alone take %.0f ms%n",
                stepMillis,
                matmulMillis,
                100 * matmulMillis / stepMillis,
                matmulFlops / matmulMillis / 1e6,
                peak,
                matmulFlops / peak / 1e6);
    }

    private static Backend cpu() {
        for (BackendProvider p : ServiceLoader.load(BackendProvider.class)) {
            if (p.kind().equals("cpu")) {
                return p.open(Device.parse("cpu"));
            }
        }
        throw new IllegalStateException("step-profile: no CPU backend on the class path");
    }

    private Backend timed(Backend backend) {
        Kernels kernels = proxy(Kernels.class, (_, method, args) -> {
            long start = System.nanoTime();
            Object result = call(backend.kernels(), method, args);
            if (timing) {
                record(method.getName(), args, System.nanoTime() - start);
            }
            return result;
        });
        return proxy(
                Backend.class,
                (_, method, args) -> method.getName().equals("kernels") ? kernels : call(backend, method, args));
    }

    private static <T> T proxy(Class<T> type, InvocationHandler handler) {
        return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler));
    }

    private static Object call(Object on, Method method, Object[] args) throws Throwable {
        try {
            return method.invoke(on, args);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    private void record(String method, Object[] args, long nanos) {
        Tensor out = (Tensor) args[0] == null ? (Tensor) args[2] : (Tensor) args[0];
        String key = method + " " + out.shape();
        double flops = 0;
        if (method.equals("matmul")) {
            Tensor a = (Tensor) args[1];
            boolean transposed = (boolean) args[2];
            key += " = " + a.shape() + (transposed ? "ᵀ" : "") + " · " + ((Tensor) args[3]).shape()
                    + ((boolean) args[4] ? "ᵀ" : "");
            int columns = a.shape().dim(a.shape().rank() - 1);
            flops = 2.0 * out.size() * (transposed ? a.size() / columns : columns);
        }
        Launches l = launches.computeIfAbsent(key, _ -> new Launches());
        l.count++;
        l.nanos += nanos;
        l.flops += flops;
    }

    /// GFLOP/s of one core that does nothing but 512-bit (or the machine's widest) fp32 multiply-adds.
    private static double fp32Peak() {
        double best = 0;
        for (int i = 0; i < 8; i++) {
            long start = System.nanoTime();
            long flops = multiplyAdds(2_000_000);
            best = Math.max(best, (double) flops / (System.nanoTime() - start));
        }
        return best;
    }

    // 10 chains: latency 4, two ports
    private static long multiplyAdds(int turns) {
        FloatVector x = FloatVector.broadcast(FloatVector.SPECIES_PREFERRED, 0.5f);
        FloatVector a = x;
        FloatVector b = x;
        FloatVector c = x;
        FloatVector d = x;
        FloatVector e = x;
        FloatVector f = x;
        FloatVector g = x;
        FloatVector h = x;
        FloatVector k = x;
        FloatVector l = x;
        for (int i = 0; i < turns; i++) {
            a = a.fma(x, x);
            b = b.fma(x, x);
            c = c.fma(x, x);
            d = d.fma(x, x);
            e = e.fma(x, x);
            f = f.fma(x, x);
            g = g.fma(x, x);
            h = h.fma(x, x);
            k = k.fma(x, x);
            l = l.fma(x, x);
        }
        FloatVector sum =
                a.add(b).add(c).add(d).add(e).add(f).add(g).add(h).add(k).add(l);
        if (sum.lane(0) == 0f) {
            throw new AssertionError("sums of positive numbers");
        }
        return 20L * turns * x.length();
    }
}
