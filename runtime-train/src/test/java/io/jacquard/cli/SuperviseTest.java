package io.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.train.Failures;
import io.jacquard.train.TinyRun;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// `train --supervise`, with real child processes.
class SuperviseTest {
    @TempDir
    static Path directory;

    @BeforeAll
    static void prepare() throws IOException {
        TinyRun.prepare(directory);
    }

    private record Ended(int code, String err) {}

    private static List<String> arguments(String run, String... more) {
        List<String> arguments = new ArrayList<>(List.of(
                "train",
                "--config",
                TinyRun.file(directory, run).toString(),
                "--set",
                "training.steps=60",
                "--set",
                "checkpoints.every=5"));
        arguments.addAll(List.of(more));
        return arguments;
    }

    private static Ended train(String run, String... more) {
        StringWriter err = new StringWriter();
        int code = Main.run(
                new PrintWriter(new StringWriter()),
                new PrintWriter(err, true),
                arguments(run, more).toArray(String[]::new));
        return new Ended(code, err.toString());
    }

    /// A supervisor in a process of its own.
    private static ProcessBuilder process(String run, String... more) {
        List<String> command = new ArrayList<>(List.of(
                "env",
                "--default-signal=INT",
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName()));
        command.addAll(arguments(run, more));
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(directory.resolve(run + ".log").toFile());
    }

    private static void await(Path file) throws InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(90);
        while (!Files.exists(file) && System.nanoTime() < deadline) {
            Thread.sleep(10);
        }
        assertTrue(Files.exists(file), file::toString);
    }

    private static Path state(String run, int step) {
        return directory.resolve(run).resolve("checkpoints/step-" + step);
    }

    private static void killChildren() {
        ProcessHandle.current().children().toList().forEach(ProcessHandle::destroyForcibly);
    }

    private static byte[] weights(String run) throws IOException {
        return Files.readAllBytes(state(run, 60).resolve("model.safetensors"));
    }

    @Test
    void aKilledTrainingGoesOnToTheSameBits() throws Exception {
        assertEquals(0, train("whole").code);
        CompletableFuture<Ended> supervised = CompletableFuture.supplyAsync(() -> train("killed", "--supervise"));
        await(state("killed", 5));
        killChildren();
        Ended ended = supervised.get(120, TimeUnit.SECONDS);
        assertEquals(0, ended.code, ended.err);
        assertTrue(
                ended.err.matches("(?s).*supervise: the training ended with exit code 137 \\(signal 9\\) after step"
                        + " \\d+; starting it again \\(1 of 3\\)\n.*"),
                ended.err);
        assertArrayEquals(weights("whole"), weights("killed"));
        List<String> failures = Files.readAllLines(directory.resolve("killed/failures.jsonl"));
        assertEquals(1, failures.size());
        assertTrue(
                failures.getFirst()
                        .matches("\\{\"time\":\"\\d{4}-[0-9T:.-]+Z\",\"exit_code\":137,\"step\":\\d+,\"restart\":0,"
                                + "\"last_lines\":\\[.+]}"),
                failures.getFirst());
    }

    @Test
    void restartsAreCounted() throws Exception {
        CompletableFuture<Ended> supervised =
                CompletableFuture.supplyAsync(() -> train("often", "--supervise", "--restarts=1"));
        await(state("often", 5));
        killChildren();
        await(directory.resolve("often/failures.jsonl"));
        long first = new Failures(directory.resolve("often")).saved().orElse(0);
        await(state("often", (int) first + 5));
        killChildren();
        Ended ended = supervised.get(120, TimeUnit.SECONDS);
        assertEquals(Main.FAILED, ended.code, ended.err);
        assertTrue(
                ended.err.contains("; not started again: 1 restarts were allowed; "
                        + directory.resolve("often/failures.jsonl") + " has the reasons"),
                ended.err);
        List<String> failures = Files.readAllLines(directory.resolve("often/failures.jsonl"));
        assertEquals(2, failures.size());
        assertTrue(failures.getLast().contains("\"exit_code\":137,\"resumed_from\":"), failures.getLast());
    }

    @Test
    void whatFailsAtTheSamePlaceTwiceIsNotTriedAgain() throws Exception {
        Ended ended = train("nowhere", "--supervise", "--restarts=5", "--set", "data.directory=" + directory + "/none");
        assertEquals(Main.FAILED, ended.code, ended.err);
        assertTrue(
                ended.err.contains("supervise: the training ended with exit code 1 before its first step; not started"
                        + " again: it failed there before; " + directory.resolve("nowhere/failures.jsonl")
                        + " has the reasons"),
                ended.err);
        List<String> failures = Files.readAllLines(directory.resolve("nowhere/failures.jsonl"));
        assertEquals(2, failures.size());
        assertTrue(failures.getLast().contains("there is no " + directory), failures.getLast());
    }

    @Test
    void wrongUsageIsNotTriedAgain() {
        assertEquals(Main.USAGE, train("wrong", "--supervise", "--ranks", "0").code);
        assertFalse(Files.exists(directory.resolve("wrong/failures.jsonl")));
    }

    @Test
    void aRunThatHasBegunIsNotResumedUnasked() throws IOException {
        assertEquals(0, train("begun", "--set", "training.steps=5").code);
        Ended ended = train("begun", "--supervise");
        assertEquals(Main.FAILED, ended.code, ended.err);
        assertEquals(
                "jacquard: run directory " + directory.resolve("begun")
                        + " already holds step-5; go on with it by --resume, or choose another with --run\n",
                ended.err);
        assertEquals(0, train("begun", "--supervise", "--resume", "--set", "training.steps=10").code);
        assertTrue(Files.exists(state("begun", 10)));
    }

    @ParameterizedTest
    @CsvSource({"INT, 130", "TERM, 143"})
    void signalsReachTheTraining(String signal, int code) throws Exception {
        String run = "stopped by " + signal;
        Process p = process(run, "--supervise").start();
        await(state(run, 5));
        List<ProcessHandle> training = p.descendants().toList();
        new ProcessBuilder("kill", "-" + signal, Long.toString(p.pid())).start().waitFor();
        assertTrue(p.waitFor(60, TimeUnit.SECONDS));
        String text = Files.readString(directory.resolve(run + ".log"));
        assertEquals(code, p.exitValue(), text);
        assertTrue(text.contains("interrupted: finishing the step and saving"), text);
        assertFalse(text.contains("supervise: "), text);
        assertFalse(Files.exists(directory.resolve(run).resolve("failures.jsonl")));
        training.forEach(t -> assertFalse(t.isAlive()));
    }

    @Test
    void insideALaunchedRankItIsRefused() throws Exception {
        ProcessBuilder builder = process("launched", "--supervise");
        builder.environment().putAll(Map.of("RANK", "1", "WORLD_SIZE", "4"));
        Process p = builder.start();
        assertTrue(p.waitFor(60, TimeUnit.SECONDS));
        String text = Files.readString(directory.resolve("launched.log"));
        assertEquals(Main.USAGE, p.exitValue(), text);
        assertTrue(
                text.matches(
                        "(?s).*jacquard: --supervise: this process is rank 1 of 4, says .*; supervise from outside:"
                                + " jacquard train --supervise --launcher 'mpirun -n 4' ...\n.*"),
                text);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--restarts=3 | --restarts and --launcher belong to --supervise",
                "--launcher=x | --restarts and --launcher belong to --supervise",
                "--supervise --restarts=-1 | --restarts -1: expected at least 0",
                "--supervise --launcher= | --launcher is empty"
            })
    void wrongOptions(String options, String message) {
        Ended ended = train("options", options.split(" ", -1));
        assertEquals(Main.USAGE, ended.code, ended.err);
        assertTrue(ended.err.startsWith("jacquard: " + message + "\n"), ended.err);
    }

    @Test
    void otherOptionsAreLeftAlone() {
        assertEquals(
                List.of("train", "--run", "r", "--set", "a=b"),
                SuperviseOptions.without(List.of(
                        "train",
                        "--supervise",
                        "--run",
                        "r",
                        "--launcher",
                        "mpirun -n 2",
                        "--restarts=3",
                        "--set",
                        "a=b")));
    }
}
