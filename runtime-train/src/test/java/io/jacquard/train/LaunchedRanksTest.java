package io.jacquard.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.cli.Main;
import io.jacquard.group.Watch;
import io.jacquard.launch.Launch;
import io.jacquard.mpi.Mpirun;
import io.jacquard.mpi.Slurm;
import io.jacquard.ranks.Ranks;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The command line under the real mpirun and srun: the bits of as many threads.
@Tag("mpi")
class LaunchedRanksTest {
    @TempDir
    static Path directory;

    @BeforeAll
    static void prepare() throws IOException {
        TinyRun.prepare(directory);
    }

    private static TrainConfig config(String run, String overrides) {
        ConfigReader reader = TinyRun.config(directory, run);
        reader.set("training.steps=6");
        Stream.of(overrides.split(" ", -1)).filter(o -> !o.isEmpty()).forEach(reader::set);
        return reader.read();
    }

    private static Path write(TrainConfig config) throws IOException {
        Path file = Files.createDirectories(config.run()).resolve("given.yaml");
        Files.writeString(file, ConfigWriter.yaml(config));
        return file;
    }

    private static void asThreads(int ranks, TrainConfig config) {
        Ranks.run(Launch.SOLO, "cpu", ranks, Watch.DEFAULT, world -> {
            try {
                new Trainer(config, TrainListener.SILENT).start(world);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
    }

    private static void assertSameState(TrainConfig expected, TrainConfig found) throws IOException {
        Path state = Path.of("checkpoints", "step-6");
        assertEquals(files(expected), files(found));
        for (String file : files(expected)) {
            if (file.endsWith(".safetensors")) {
                assertArrayEquals(
                        Files.readAllBytes(expected.run().resolve(state).resolve(file)),
                        Files.readAllBytes(found.run().resolve(state).resolve(file)),
                        file);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "OPEN_MPI, 2, parallel.zero=3 training.recompute=true",
        "OPEN_MPI, 4, parallel.tensor=2 parallel.pipeline=2",
        "MPICH, 2, parallel.pipeline=2 training.dtype=bf16",
    })
    void theBitsOfThreads(Mpirun library, int ranks, String overrides) throws IOException {
        TrainConfig threads = config("threads " + library + ranks, overrides);
        asThreads(ranks, threads);
        TrainConfig launched = config("launched " + library + ranks, overrides);
        Mpirun.Ended ended = library.run(
                ranks,
                Map.of(),
                Main.class,
                "train",
                "--config",
                write(launched).toString());
        assertEquals(0, ended.code(), ended.output());
        Path state = Path.of("checkpoints", "step-6");
        assertTrue(ended.output().contains(launched.run().resolve(state).toString()), ended.output());
        assertSameState(threads, launched);
        // one rank alone tells what happens
        assertEquals(
                1, ended.output().lines().filter(l -> l.contains("mesh dp(")).count(), ended.output());
    }

    /// Four replicas: the losses of threads to the bit, and of one rank but for the order of sums.
    @ParameterizedTest
    @CsvSource({"OPEN_MPI, pmix", "MPICH, pmi2"})
    void underSrun(Mpirun library, String plugin) throws IOException {
        library.needed();
        if (plugin.equals("pmix")) {
            Slurm.pmixNeeded();
        }
        TrainConfig launched = config("srun " + library, "");
        Mpirun.Ended ended = Slurm.run(
                List.of("srun", "-K", "--mpi=" + plugin, "-n", "4"),
                Mpirun.java(Main.class, "train", "--config", write(launched).toString()));
        assertEquals(0, ended.code(), ended.output());
        TrainConfig threads = config("threads " + plugin, "");
        asThreads(4, threads);
        assertSameState(threads, launched);
        assertEquals(losses(threads), losses(launched));
        TrainConfig alone = config("alone " + plugin, "");
        asThreads(1, alone);
        List<Double> expected = losses(alone);
        assertEquals(6 + 1, expected.size());
        for (int i = 0; i < expected.size(); i++) {
            assertEquals(expected.get(i), losses(launched).get(i), 1e-5 * expected.get(i), "line " + i);
        }
    }

    /// Of each step, and of the validation at the end.
    private static List<Double> losses(TrainConfig config) throws IOException {
        return Metrics.read(config.run().resolve("metrics.jsonl")).stream()
                .flatMap(line -> Stream.of("loss", "validation_loss").map(line::get))
                .filter(Double.class::isInstance)
                .map(Double.class::cast)
                .toList();
    }

    private static List<String> files(TrainConfig config) throws IOException {
        try (var files = Files.list(config.run().resolve("checkpoints").resolve("step-6"))) {
            return files.map(f -> f.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void whatIsWrongOnOneRankEndsAll() throws IOException {
        TrainConfig config = config("refused", "parallel.tensor=2");
        Mpirun.Ended ended = Mpirun.OPEN_MPI.run(
                3, Map.of(), Main.class, "train", "--config", write(config).toString());
        assertTrue(ended.code() != 0, ended.output());
        assertTrue(
                ended.output().contains("mesh: dp(1) * tp(2) * pp(1) = 2 does not equal the world size 3"),
                ended.output());
        Mpirun.Ended both = Mpirun.OPEN_MPI.run(
                2,
                Map.of(),
                Main.class,
                "train",
                "--ranks",
                "2",
                "--config",
                write(config).toString());
        assertTrue(both.code() != 0, both.output());
        assertTrue(
                both.output().contains("ranks: the engine mpi has one rank in a process, not 2; start 4 processes"),
                both.output());
    }

    /// One of the processes that mpirun starts is killed: the run goes on from its newest state, to the same bits.
    /// Hydra leaves no rank time to report: then the supervisor tells what their recorders hold.
    @ParameterizedTest
    @CsvSource({
        "OPEN_MPI, -n 2 --oversubscribe --allow-run-as-root, has ended: its process is gone",
        "MPICH, -n 2, the ranks have ended without a report"
    })
    void supervised(Mpirun library, String options, String report) throws Exception {
        TrainConfig whole = config("whole " + library, "training.steps=60 checkpoints.every=5");
        asThreads(2, whole);
        TrainConfig config = config("supervised " + library, "training.steps=60 checkpoints.every=5");
        Path file = write(config);
        CompletableFuture<Mpirun.Ended> running = CompletableFuture.supplyAsync(() -> Mpirun.run(
                Mpirun.java(
                        Main.class,
                        "train",
                        "--supervise",
                        "--launcher",
                        library.needed() + " " + options,
                        "--config",
                        file.toString()),
                Map.of()));
        kill(config.run().resolve("checkpoints/step-5"), "--config");
        Mpirun.Ended ended = running.get(120, TimeUnit.SECONDS);
        assertEquals(0, ended.code(), ended.output());
        assertTrue(ended.output().contains("; starting it again (1 of 3)"), ended.output());
        assertEquals(
                1,
                ended.lines("group: ").stream().filter(l -> l.contains(report)).count(),
                ended.output());
        List<String> failures = Files.readAllLines(config.run().resolve("failures.jsonl"));
        assertEquals(1, failures.size());
        assertTrue(failures.getFirst().contains("\"report\":[\"group: "), failures.getFirst());
        assertTrue(failures.getFirst().contains(report), failures.getFirst());
        for (String f : List.of("model.safetensors.index.json", "model-00001-of-00002.safetensors")) {
            Path state = Path.of("checkpoints", "step-60", f);
            assertArrayEquals(
                    Files.readAllBytes(whole.run().resolve(state)),
                    Files.readAllBytes(config.run().resolve(state)),
                    f);
        }
    }

    /// Kills the youngest process that has an argument, when a file is there.
    private static void kill(Path when, String argument) throws InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(90);
        while (!Files.exists(when) && System.nanoTime() < deadline) {
            Thread.sleep(10);
        }
        ProcessHandle.current()
                .descendants()
                .filter(p -> p.info().command().orElse("").endsWith("java")
                        && List.of(p.info().arguments().orElse(new String[0])).contains(argument))
                .max(Comparator.comparingLong(ProcessHandle::pid))
                .orElseThrow()
                .destroyForcibly();
    }

    /// A rank that is killed ends all others; what the ranks did last is in the run's directory.
    @Test
    void aKilledRankEndsAll() throws Exception {
        TrainConfig config = config("killed", "training.steps=100000");
        Path file = write(config);
        CompletableFuture<Mpirun.Ended> running = CompletableFuture.supplyAsync(
                () -> Mpirun.OPEN_MPI.run(2, Map.of(), Main.class, "train", "--config", file.toString()));
        Path metrics = config.run().resolve("metrics.jsonl");
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (!(Files.exists(metrics) && Files.size(metrics) > 0) && System.nanoTime() < deadline) {
            Thread.sleep(20);
        }
        ProcessHandle victim = ProcessHandle.current()
                .descendants()
                .filter(p -> p.info().command().orElse("").endsWith("java"))
                .max(Comparator.comparingLong(ProcessHandle::pid))
                .orElseThrow();
        long start = System.nanoTime();
        victim.destroyForcibly();
        Mpirun.Ended ended = running.get(60, TimeUnit.SECONDS);
        assertTrue(System.nanoTime() - start < TimeUnit.SECONDS.toNanos(30), ended.output());
        assertTrue(ended.code() != 0, ended.output());
        try (var records = Files.list(config.run().resolve("ranks"))) {
            assertTrue(records.count() >= 2);
        }
    }
}
