package io.jacquard.benchmarks.jmh;

import io.jacquard.benchmarks.suite.Prepared;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Roofline;
import io.jacquard.tensor.Session;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.infra.IterationParams;
import org.openjdk.jmh.profile.InternalProfiler;
import org.openjdk.jmh.results.AggregationPolicy;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.ScalarResult;

/// A profiler of JMH, `-prof io.jacquard.benchmarks.jmh.KernelRates`: beside the time of a kernel its rate in GB/s or
/// TFLOP/s, that as a share of the roofline measured on the same device, and the error against doubles. Works in the
/// forked JVM.
public final class KernelRates implements InternalProfiler {
    /// Names of the additional results.
    public static final String MICROS = "device.micros";

    public static final String ERROR = "error";
    public static final String BYTES = "bytes";
    public static final String OPERATIONS = "operations";

    /// The device's rates, where the caller has measured them: GB/s, TFLOP/s.
    private static final String ROOFLINE = "jacquard.bench.roofline";

    private static @Nullable Kernel kernel;
    private static double micros;
    private static long batches;

    private record Kernel(String device, Prepared prepared, double error, double gigabytes, double teraflops) {}

    static boolean isEmulated() {
        return Session.current().backend().description().contains("emulated driver");
    }

    /// What the iterations from now on launch.
    static void measures(String device, Prepared prepared, double error) {
        String told = System.getProperty(ROOFLINE);
        double gigabytes = 0;
        double teraflops = 0;
        DType matrix = prepared.matrix();
        if (told == null) {
            Roofline roofline = Roofline.of(device);
            gigabytes = roofline.gigabytesPerSecond();
            teraflops = matrix == null ? 0 : roofline.teraflops(matrix);
        } else if (!told.isEmpty()) {
            String[] rates = told.split(",", -1);
            gigabytes = Double.parseDouble(rates[0]);
            teraflops = Double.parseDouble(rates[1]);
        }
        kernel = new Kernel(device, prepared, error, gigabytes, teraflops);
    }

    static void begin() {
        micros = 0;
        batches = 0;
    }

    static void batch(double meanMicros) {
        micros += meanMicros;
        batches++;
    }

    @Override
    public String getDescription() {
        return "Rates of a kernel: GB/s, TFLOP/s, share of the roofline; its error against doubles";
    }

    @Override
    public void beforeIteration(BenchmarkParams benchmark, IterationParams iteration) {}

    @Override
    public Collection<? extends Result<?>> afterIteration(
            BenchmarkParams benchmark, IterationParams iteration, IterationResult result) {
        Kernel k = kernel;
        if (k == null) {
            return List.of();
        }
        List<Result<?>> results = new ArrayList<>();
        double time = result.getPrimaryResult().getScore();
        if (batches > 0) {
            time = micros / batches;
            results.add(scalar(MICROS, time, "us"));
        }
        double bytes = k.prepared.bytes();
        double operations = k.prepared.operations();
        results.add(scalar(BYTES, bytes, "B"));
        results.add(scalar(OPERATIONS, operations, "flop"));
        results.add(scalar(ERROR, k.error, ""));
        if (k.prepared.matrix() == null) {
            results.add(scalar("memory.rate", bytes / time / 1e3, "GB/s"));
        } else {
            results.add(scalar("matrix.rate", operations / time / 1e6, "TFLOP/s"));
        }
        if (k.gigabytes > 0) {
            double least = bytes / k.gigabytes / 1e3;
            if (k.teraflops > 0) {
                least = Math.max(least, operations / k.teraflops / 1e6);
            }
            results.add(scalar("roofline", 100 * least / time, "%"));
        }
        return results;
    }

    private static ScalarResult scalar(String name, double value, String unit) {
        return new ScalarResult(name, value, unit, AggregationPolicy.AVG);
    }
}
