package io.jacquard.benchmarks.jmh;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/// Every class of the suite runs through JMH, in small; what it says of a row is so.
final class LaunchesTest {
    private static ChainedOptionsBuilder options(Class<?> benchmark) {
        return new OptionsBuilder()
                .include(benchmark.getName() + "\\.")
                .param("model", "gpt2-tiny")
                .param("tokens", "16")
                .param("time", "16")
                .param("batch", "1")
                .param("weights", "4096")
                .param("elements", "4096")
                .forks(0)
                .warmupIterations(0)
                .measurementIterations(1)
                .measurementTime(TimeValue.milliseconds(5))
                .addProfiler(KernelRates.class)
                .shouldFailOnError(true)
                .verbosity(VerboseMode.SILENT);
    }

    private static void areRight(Collection<RunResult> results) {
        assertFalse(results.isEmpty());
        for (RunResult r : results) {
            String what = r.getParams().toString();
            assertTrue(r.getPrimaryResult().getScore() > 0, what);
            double error = r.getSecondaryResults().get(KernelRates.ERROR).getScore();
            assertTrue(error <= 0x1p-6, what + ": off by " + error);
            assertTrue(r.getSecondaryResults().get(KernelRates.BYTES).getScore() > 0, what);
        }
    }

    @ParameterizedTest
    @ValueSource(
            classes = {
                MatmulBenchmark.class,
                AttentionBenchmark.class,
                NormBenchmark.class,
                ActivationBenchmark.class,
                CrossEntropyBenchmark.class,
                EmbeddingBenchmark.class,
                OptimizerBenchmark.class,
                MovingBenchmark.class,
                LaunchBenchmark.class,
                RowBenchmark.class,
                AxpbyBenchmark.class
            })
    void runsOnTheCpu(Class<?> benchmark) throws RunnerException {
        areRight(new Runner(options(benchmark).build()).run());
    }

    @ParameterizedTest
    @ValueSource(
            classes = {TokenizerBenchmark.class, SafetensorsBenchmark.class, GroupBenchmark.class, StepBenchmark.class})
    void othersCheckThemselves(Class<?> benchmark) throws RunnerException {
        Collection<RunResult> results = new Runner(options(benchmark)
                        .param("vocabulary", "512")
                        .param("mebibytes", "1")
                        .param("bytes", "4096")
                        .build())
                .run();
        assertFalse(results.isEmpty());
        for (RunResult r : results) {
            assertTrue(r.getPrimaryResult().getScore() > 0, r.getParams().toString());
        }
    }

    @ParameterizedTest
    @ValueSource(classes = {NormBenchmark.class, LaunchBenchmark.class})
    void runsOnTheEmulatedDevice(Class<?> benchmark) throws RunnerException {
        hasEmulator();
        Collection<RunResult> results = new Runner(options(benchmark)
                        .param("device", "cuda")
                        .param("dtype", "bf16")
                        .build())
                .run();
        areRight(results);
        for (RunResult r : results) {
            double device = r.getSecondaryResults().get(KernelRates.MICROS).getScore();
            assertTrue(device > 0, "time by events");
        }
    }

    /// After some seconds, when the compiler is done with it: the closure that a kernel hands to its threads is
    /// left. (A test of the CUDA backend counts the bytes of its launches: none.)
    @Test
    void aRecordedRunAllocatesItsClosure() throws RunnerException {
        assertAllocates(
                64,
                options(MovingBenchmark.class)
                        .param("function", "copy")
                        .param("dtype", "bf16")
                        .param("device", "cpu"));
    }

    /// C1 gave up on this loop when it was told to inline, and C2 never saw it.
    @Test
    void theOptimizersLoopIsCompiled() throws RunnerException {
        assertAllocates(
                10_000,
                options(OptimizerBenchmark.class)
                        .param("weights", "8388608")
                        .param("gradients", "f32")
                        .param("dtype", "f32")
                        .forks(1));
    }

    /// A kernel of several vector loops boxes none of its vectors: 2 MB of them here, where C2 inlines as it likes.
    /// In a JVM of its own, which has compiled nothing yet.
    @Test
    void loopsOfVectorsBoxNone() throws RunnerException {
        assertAllocates(
                10_000,
                options(ActivationBenchmark.class)
                        .param("function", "swiglu")
                        .param("direction", "backward")
                        .param("model", "llama-1b")
                        .param("dtype", "bf16")
                        .forks(1));
    }

    private static void assertAllocates(int most, ChainedOptionsBuilder options) throws RunnerException {
        Map<String, Double> scores = new HashMap<>();
        new Runner(options.warmupIterations(4)
                        .warmupTime(TimeValue.milliseconds(500))
                        .measurementTime(TimeValue.milliseconds(500))
                        .addProfiler(GCProfiler.class)
                        .build())
                .run()
                .forEach(run -> run.getSecondaryResults()
                        .forEach((name, r) -> scores.put(name.replace("·", ""), r.getScore())));
        double bytes = scores.getOrDefault("gc.alloc.rate.norm", Double.NaN);
        assertTrue(Math.floor(bytes) <= most, "bytes for each run: " + bytes);
    }

    private static void hasEmulator() {
        Path driver = Path.of(System.getProperty("jacquard.cuda.driver", "none"));
        assumeTrue(Files.exists(driver), () -> driver + " is not there; the tests of runtime-cuda build it");
    }
}
