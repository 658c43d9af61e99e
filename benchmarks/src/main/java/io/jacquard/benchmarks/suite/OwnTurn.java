package io.jacquard.benchmarks.suite;

import io.jacquard.benchmarks.jmh.KernelRates;
import io.jacquard.benchmarks.jmh.RowBenchmark;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.BenchmarkResult;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;

/// Our side of a kernel row, timed by JMH: each turn is a fork, a JVM of its own that warms up, so that what one JVM's
/// compiler happened to do is one sample among several and not the result.
///
/// @param micros the mean of a run in each iteration
/// @param allocated bytes of heap for each run, in the last iteration
record OwnTurn(List<Double> micros, double allocated, double error, long bytes, long operations) {
    private static final String ALLOCATED = "gc.alloc.rate.norm";

    /// Runs one fork.
    ///
    /// @param log receives what JMH prints
    /// @throws Contender.Refused if a result is wrong, or the device cannot do it, with its words
    static OwnTurn of(Row row, String device, Turns turns, Path log) throws IOException {
        OptionsBuilder options = new OptionsBuilder();
        options.include(RowBenchmark.class.getName())
                .param("row", Lines.JSON.writeValueAsString(row.spec()))
                .param("device", device)
                .forks(1)
                .warmupIterations(4)
                .warmupTime(TimeValue.milliseconds(turns.warmUpMillis() / 4))
                .measurementIterations(turns.repetitions())
                .measurementTime(TimeValue.milliseconds(turns.millis()))
                .addProfiler(GCProfiler.class)
                .addProfiler(KernelRates.class)
                .jvmArgsAppend(flags().toArray(String[]::new))
                .shouldFailOnError(true)
                .output(log.toString());
        Files.deleteIfExists(log);
        try {
            Collection<RunResult> results = new Runner(options.build()).run();
            return of(results.iterator().next());
        } catch (RunnerException e) {
            throw new Contender.Refused(reason(log, e));
        }
    }

    /// The parent has measured the roofline, and its own flags and properties hold for the fork.
    private static List<String> flags() {
        List<String> flags = new ArrayList<>(List.of(
                "--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC"));
        flags.add("-Djacquard.bench.roofline=");
        System.getProperties().stringPropertyNames().stream()
                .filter(name -> name.startsWith("jacquard.") || name.startsWith("org.bytedeco."))
                .forEach(name -> flags.add("-D" + name + "=" + System.getProperty(name)));
        return flags;
    }

    private static OwnTurn of(RunResult result) {
        List<Double> micros = new ArrayList<>();
        double allocated = 0;
        Map<String, Double> facts = new HashMap<>();
        for (BenchmarkResult fork : result.getBenchmarkResults()) {
            for (IterationResult iteration : fork.getIterationResults()) {
                iteration.getSecondaryResults().forEach((name, r) -> facts.put(name.replace("·", ""), r.getScore()));
                micros.add(facts.getOrDefault(
                        KernelRates.MICROS, iteration.getPrimaryResult().getScore()));
                allocated = facts.getOrDefault(ALLOCATED, Double.NaN);
            }
        }
        return new OwnTurn(
                micros,
                allocated,
                facts.getOrDefault(KernelRates.ERROR, Double.NaN),
                facts.getOrDefault(KernelRates.BYTES, 0.0).longValue(),
                facts.getOrDefault(KernelRates.OPERATIONS, 0.0).longValue());
    }

    /// The line of the exception that ended the fork.
    private static String reason(Path log, RunnerException e) throws IOException {
        List<String> lines = Files.exists(log) ? Files.readAllLines(log) : List.of();
        return lines.stream()
                .filter(l -> l.matches("^(Caused by: )?[a-zA-Z.]+(Exception|Error): .*"))
                .reduce((_, last) -> last)
                .map(l -> l.replaceFirst("^(Caused by: )?[a-z.]+[.]", ""))
                .orElseGet(() -> String.format(Locale.ROOT, "%s; see %s", Turns.words(e), log));
    }
}
