package io.jacquard.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// A child JVM that is killed, or interrupted, while it trains; `-Djacquard.kills=100` for the long version.
class KillTest {
    private static final int STEPS = 80;

    @TempDir
    static Path directory = Path.of("");

    private static Process child(Path config, Path run, Path log) throws IOException {
        // a JVM keeps ignoring an interrupt that its parent ignores, as a shell's background jobs do
        List<String> command = new ArrayList<>(List.of(
                "env",
                "--default-signal=INT",
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Djava.awt.headless=true",
                "-cp",
                System.getProperty("java.class.path"),
                "io.jacquard.cli.Main",
                "train",
                "-c",
                config.toString(),
                "--run",
                run.toString(),
                "--resume"));
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
                .start();
    }

    private static Path config() throws IOException {
        Path file = directory.resolve("config.yaml");
        if (!Files.exists(file)) {
            TinyRun.prepare(directory);
            Files.writeString(
                    file,
                    ConfigWriter.yaml(TinyRun.config(directory, "unused")
                            .set("training.steps=" + STEPS)
                            .set("checkpoints.every=4")
                            .read()));
        }
        return file;
    }

    private static byte[] end(Path run) throws IOException {
        return Files.readAllBytes(run.resolve("checkpoints/step-" + STEPS + "/model.safetensors"));
    }

    @Test
    void killedAtAnyMomentItEndsWithTheSameBits() throws Exception {
        int kills = Integer.getInteger("jacquard.kills", 3);
        Path config = config();
        Path whole = directory.resolve("whole");
        new Trainer(new ConfigReader().file(config).set("run", whole, "test").read(), TrainListener.SILENT).start();
        Random random = new Random(1);
        Path log = directory.resolve("log");
        Path run = directory.resolve("killed0");
        int runs = 0;
        for (int i = 0; i < kills; i++) {
            Process p = child(config, run, log);
            if (p.waitFor(1000 + random.nextInt(3000), TimeUnit.MILLISECONDS)) {
                assertEquals(0, p.exitValue(), () -> read(log));
                assertArrayEquals(end(whole), end(run));
                run = directory.resolve("killed" + ++runs);
            }
            p.destroyForcibly().waitFor();
        }
        Process last = child(config, run, log);
        assertTrue(last.waitFor(120, TimeUnit.SECONDS));
        assertEquals(0, last.exitValue(), () -> read(log));
        assertArrayEquals(end(whole), end(run), () -> read(log));
    }

    @ParameterizedTest
    @CsvSource({"INT, 130", "TERM, 143"})
    void signalSavesAndSaysHowToGoOn(String signal, int exitCode) throws Exception {
        Path run = directory.resolve("stopped by " + signal);
        Path log = directory.resolve(signal + ".log");
        Process p = child(config(), run, log);
        Path metrics = run.resolve("metrics.jsonl");
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (!(Files.exists(metrics) && Files.size(metrics) > 0) && System.nanoTime() < deadline) {
            Thread.sleep(20);
        }
        new ProcessBuilder("kill", "-" + signal, Long.toString(p.pid())).start().waitFor();
        assertTrue(p.waitFor(60, TimeUnit.SECONDS));
        String text = read(log);
        assertEquals(exitCode, p.exitValue(), text);
        assertTrue(text.contains("interrupted: finishing the step and saving"), text);
        assertTrue(text.contains("go on with: jacquard resume " + run), text);
        try (var saved = Files.list(Objects.requireNonNull(run.resolve("checkpoints")))) {
            assertTrue(saved.findAny().isPresent());
        }
    }

    private static String read(Path log) {
        try {
            return Files.readString(log);
        } catch (IOException e) {
            return e.toString();
        }
    }
}
