package io.jacquard.benchmarks.jmh;

import io.jacquard.benchmarks.suite.Prepared;
import io.jacquard.benchmarks.suite.Row;
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

/// The launches of one row of the table, on any device. Its results are checked against doubles before the first one is
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

    /// What is launched.
    protected abstract Row row();

    @Setup
    public void open() {
        Row row = row();
        gpu = device.startsWith("cuda");
        prepared = new Prepared(row, device);
        double error = prepared.check();
        boolean replays = recorded && !row.isLaunch();
        if (gpu) {
            flushBytes = row.flushes() && !KernelRates.isEmulated() ? FLUSH_BYTES : 0;
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
