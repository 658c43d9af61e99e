package io.jacquard.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Losses that are read one step late: the same run as on a device that is done before it is asked.
class LateResultTest {
    @TempDir
    static Path directory = Path.of("");

    @BeforeAll
    static void prepare() throws IOException {
        TinyRun.prepare(directory);
    }

    @BeforeEach
    void forget() {
        LateProvider.LOG.clear();
    }

    private static TrainConfig config(String run, String device, String... settings) {
        ConfigReader reader = TinyRun.config(directory, run).set("device=" + device);
        List.of(settings).forEach(reader::set);
        return reader.read();
    }

    /// The metrics without what differs from run to run.
    private static List<Map<String, @Nullable Object>> rows(TrainConfig config) throws IOException {
        List<Map<String, @Nullable Object>> rows = Metrics.read(config.run().resolve("metrics.jsonl"));
        rows.forEach(r -> r.keySet().removeAll(List.of("seconds", "tokens_per_second", "joules", "joules_per_token")));
        return rows;
    }

    private static byte[] state(TrainConfig config, int step, String file) throws IOException {
        return Files.readAllBytes(
                config.run().resolve("checkpoints/step-" + step).resolve(file));
    }

    @ParameterizedTest
    @ValueSource(strings = {"training.graph=true", "training.graph=false"})
    void theRunIsTheSame(String graph) throws IOException {
        String[] settings = {graph, "evaluation.every=4", "samples.every=5", "checkpoints.every=3", "checkpoints.keep=9"
        };
        TrainConfig cpu = config("cpu-" + graph, "cpu", settings);
        TrainConfig late = config("late-" + graph, "late", settings);
        Trainer.Outcome expected = new Trainer(cpu, TrainListener.SILENT).start();
        Trainer.Outcome got = new Trainer(late, TrainListener.SILENT).start();
        assertEquals(rows(cpu), rows(late));
        assertEquals(expected.loss(), got.loss());
        assertEquals(expected.score(), got.score());
        for (int step = 3; step <= 12; step += 3) {
            for (String file : List.of("model.safetensors", "optimizer.safetensors")) {
                assertArrayEquals(state(cpu, step, file), state(late, step, file), "step " + step + " " + file);
            }
        }
    }

    // two copies per step: the losses, and the norm with the flag
    @Test
    void aStepIsLaunchedBeforeTheOneBeforeIsRead() throws IOException {
        new Trainer(config("order", "late", "training.steps=4", "checkpoints.every=0"), TrainListener.SILENT).start();
        assertEquals("++" + "++--".repeat(3) + "--", String.join("", LateProvider.LOG));
    }

    @Test
    void betweenTwoStepsTheFirstIsReadAndTheSecondNotLaunched() throws IOException {
        new Trainer(config("between", "late", "training.steps=4", "checkpoints.every=2"), TrainListener.SILENT).start();
        assertEquals("++++----++++----", String.join("", LateProvider.LOG));
    }

    @Test
    void oneStep() throws IOException {
        TrainConfig c = config("one", "late", "training.steps=1", "optimizer.warmup=0");
        Trainer.Outcome outcome = new Trainer(c, TrainListener.SILENT).start();
        assertTrue(outcome.complete());
        assertEquals(1, outcome.step());
        assertEquals(1, rows(c).stream().filter(r -> r.containsKey("loss")).count());
        assertTrue(Objects.requireNonNull(outcome.checkpoint()).endsWith("step-1"));
    }

    @Test
    void aStoppedRunEndsWithTheStepUnderWayAndGoesOnToTheSameBits() throws IOException {
        TrainConfig whole = config("whole", "late", "checkpoints.keep=9");
        new Trainer(whole, TrainListener.SILENT).start();
        TrainConfig parts = config("parts", "late", "checkpoints.keep=9");
        Trainer[] trainer = new Trainer[1];
        List<Long> heard = new ArrayList<>();
        trainer[0] = new Trainer(parts, new TrainListener() {
            @Override
            public void stepped(Metrics.Step s) {
                heard.add(s.step());
                if (s.step() == 7) {
                    trainer[0].requestStop();
                }
            }
        });
        Trainer.Outcome stopped = trainer[0].start();
        assertFalse(stopped.complete());
        assertEquals(8, stopped.step());
        assertEquals(List.of(1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L), heard);
        new Trainer(parts, TrainListener.SILENT).resume();
        assertEquals(rows(whole), rows(parts));
        assertArrayEquals(state(whole, 12, "model.safetensors"), state(parts, 12, "model.safetensors"));
        assertArrayEquals(state(whole, 12, "optimizer.safetensors"), state(parts, 12, "optimizer.safetensors"));
    }

    @Test
    void nonFiniteStepsStopTheRunOneStepLater() throws IOException {
        String[] settings = {"optimizer.learningRate=1e30", "optimizer.warmup=0", "training.nonFiniteLimit=3"};
        TrainConfig cpu = config("absurd-cpu", "cpu", settings);
        TrainConfig late = config("absurd-late", "late", settings);
        IllegalStateException expected =
                assertThrows(IllegalStateException.class, () -> new Trainer(cpu, TrainListener.SILENT).start());
        IllegalStateException got =
                assertThrows(IllegalStateException.class, () -> new Trainer(late, TrainListener.SILENT).start());
        assertEquals(expected.getMessage(), got.getMessage());
        assertEquals(rows(cpu), rows(late));
    }

    @ParameterizedTest
    @ValueSource(strings = {"cpu", "late"})
    void stepTimesAddUpToNoMoreThanTheRun(String device) throws IOException {
        TrainConfig c = config("times-" + device, device);
        new Trainer(c, TrainListener.SILENT).start();
        double sum = 0;
        double end = 0;
        for (Map<String, @Nullable Object> row : Metrics.read(c.run().resolve("metrics.jsonl"))) {
            if (row.get("tokens_per_second") instanceof Number speed && row.get("seconds") instanceof Number seconds) {
                assertTrue(speed.doubleValue() > 0);
                sum += c.tokensPerStep() / speed.doubleValue();
                end = seconds.doubleValue();
            }
        }
        // seconds are rounded to milliseconds
        assertTrue(sum <= end + 0.002 && sum > 0, sum + " of " + end);
    }
}
