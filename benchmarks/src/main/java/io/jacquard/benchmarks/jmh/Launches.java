package io.jacquard.benchmarks.jmh;

import io.jacquard.benchmarks.suite.Deviation;
import io.jacquard.benchmarks.suite.KernelCase;
import io.jacquard.benchmarks.suite.Prepared;
import io.jacquard.tensor.DType;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// The launches of a kernel, on any device. Its results are checked against doubles before the first one is
/// timed; [KernelRates] adds what a launch moved and computed.
///
/// What is timed is a replay from a recording, as in a recorded training step, which allocates nothing; `-p
/// recorded=false` launches each run from Java. On the CPU an invocation is one run, and JMH's clock has its time. On a
/// GPU it is a batch of runs between two events with one synchronisation, each batch of a kernel that memory bounds
/// behind a write that empties the caches: the time is `device.micros`, JMH's score has the write and the host in it.
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 4, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Fork(
        value = 2,
        jvmArgsAppend = {"--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC"
        })
@SuppressWarnings("NullAway.Init") // by JMH's calls of setup methods
public abstract class Launches {
    /// Twice and more the last-level cache of a GPU; the write also hides the launch that comes behind it.
    private static final int FLUSH_BYTES = 512 << 20;

    /// A batch on a GPU takes about this long.
    private static final double BATCH_MICROS = 5_000;

    private static final int MOST_RUNS = 200;

    @Param("cpu")
    private String device = "";

    @Param("true")
    private boolean recorded;

    private Prepared prepared;
    private boolean gpu;
    private int flushBytes;

    /// Allocates on the current session's device; what is launched.
    protected abstract KernelCase kernel();

    /// Whether the time is that of memory, which on a GPU is measured with empty caches.
    protected boolean flushes() {
        return true;
    }

    /// The largest deviation of a result that rounding explains: the one of F32 here.
    protected double allowed() {
        return Deviation.allowed(DType.F32);
    }

    /// Whether it is the launch itself that is measured, and not to be replayed.
    protected boolean isLaunch() {
        return false;
    }

    @Setup
    public void open() {
        gpu = device.startsWith("cuda");
        prepared = new Prepared(device, this::kernel);
        double error = prepared.check(allowed());
        boolean replays = recorded && !isLaunch();
        if (gpu) {
            flushBytes = flushes() && !KernelRates.isEmulated() ? FLUSH_BYTES : 0;
            double once = prepared.micros(flushBytes);
            int runs = replays && flushBytes == 0 ? (int) Math.clamp(Math.ceil(BATCH_MICROS / once), 1, MOST_RUNS) : 1;
            if (replays) {
                prepared.record(runs);
            }
        } else if (replays) {
            prepared.record(1);
        }
        KernelRates.measures(device, prepared, error);
    }

    @Setup(Level.Iteration)
    public void reset() {
        prepared.reset();
        KernelRates.begin();
    }

    @Benchmark
    public void launch() {
        if (gpu) {
            KernelRates.batch(prepared.micros(flushBytes));
        } else {
            prepared.run();
        }
    }

    @TearDown
    public void close() {
        prepared.close();
    }
}
