package io.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.train.TinyRun;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `train --supervise`, with real child processes.
class SuperviseTest {
    @TempDir
    static Path directory;

    @BeforeAll
    static void prepare() throws IOException {
        TinyRun.prepare(directory);
    }

    private record Ended(int code, String err) {}

    private static Ended train(String run, String... more) {
        StringWriter err = new StringWriter();
        List<String> arguments = new ArrayList<>(List.of(
                "train",
                "--config",
                TinyRun.file(directory, run).toString(),
                "--set",
                "training.steps=60",
                "--set",
                "checkpoints.every=5"));
        arguments.addAll(List.of(more));
        int code = Main.run(
                new PrintWriter(new StringWriter()), new PrintWriter(err, true), arguments.toArray(String[]::new));
        return new Ended(code, err.toString());
    }

    private static byte[] weights(String run) throws IOException {
        return Files.readAllBytes(directory.resolve(run).resolve("checkpoints/step-60/model.safetensors"));
    }

    @Test
    void aKilledTrainingGoesOnToTheSameBits() throws Exception {
        assertEquals(0, train("whole").code);
        CompletableFuture<Ended> supervised = CompletableFuture.supplyAsync(() -> train("killed", "--supervise"));
        Path state = directory.resolve("killed/checkpoints/step-5");
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(90);
        while (!Files.exists(state) && System.nanoTime() < deadline) {
            Thread.sleep(20);
        }
        List<ProcessHandle> children = ProcessHandle.current().children().toList();
        children.forEach(ProcessHandle::destroyForcibly);
        Ended ended = supervised.get(120, TimeUnit.SECONDS);
        assertEquals(0, ended.code, ended.err);
        assertTrue(ended.err.contains("supervise: the training ended with exit code 137 after step "), ended.err);
        assertTrue(ended.err.contains("; starting it again (1 of 3)"), ended.err);
        assertArrayEquals(weights("whole"), weights("killed"));
        List<String> failures = Files.readAllLines(directory.resolve("killed/failures.jsonl"));
        assertEquals(1, failures.size());
        assertTrue(failures.getFirst().contains("\"exit_code\":137,"), failures.getFirst());
    }

    @Test
    void whatFailsAtTheSameStepTwiceIsNotTriedAgain() throws Exception {
        Ended ended = train("nowhere", "--supervise", "--restarts=5", "--set", "data.directory=" + directory + "/none");
        assertEquals(Main.FAILED, ended.code, ended.err);
        assertTrue(
                ended.err.contains("supervise: the training ended with exit code 1 after step 0; not started again: it"
                        + " failed there before; " + directory.resolve("nowhere/failures.jsonl") + " has the reasons"),
                ended.err);
        List<String> failures = Files.readAllLines(directory.resolve("nowhere/failures.jsonl"));
        assertEquals(2, failures.size());
        assertTrue(failures.getLast().contains("there is no " + directory), failures.getLast());
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
        assertEquals(2, train("wrong", "--restarts", "3").code);
    }
}
