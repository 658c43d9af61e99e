package io.jacquard.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.data.Batches;
import io.jacquard.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordingFile;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TrainerTest {
    @TempDir
    static Path directory = Path.of("");

    @BeforeAll
    static void prepare() throws IOException {
        TinyRun.prepare(directory);
    }

    private static Trainer.Outcome whole(ConfigReader config) throws IOException {
        return new Trainer(config.read(), TrainListener.SILENT).start();
    }

    /// Trains until `step`, then stops as at Ctrl-C.
    private static void stopAt(long step, TrainConfig config) throws IOException {
        Trainer[] trainer = new Trainer[1];
        trainer[0] = new Trainer(config, new TrainListener() {
            @Override
            public void stepped(Metrics.Step s) {
                if (s.step() == step) {
                    trainer[0].requestStop();
                }
            }
        });
        Trainer.Outcome outcome = trainer[0].start();
        assertFalse(outcome.complete());
        assertEquals(step, outcome.step());
    }

    @Test
    void theFlightRecorderSeesTheSteps() throws IOException {
        Path file = directory.resolve("steps.jfr");
        try (Recording recording = new Recording()) {
            recording.start();
            whole(TinyRun.config(directory, "recorded").set("training.steps=3"));
            recording.stop();
            recording.dump(file);
        }
        assertEquals(
                List.of(1L, 2L, 3L),
                RecordingFile.readAllEvents(file).stream()
                        .filter(e -> e.getEventType().getName().equals("io.jacquard.Step") && e.getBoolean("applied"))
                        .map(e -> e.getLong("step"))
                        .toList());
    }

    @Test
    void lossFallsAndTheDirectoryIsComplete() throws IOException {
        TrainConfig c = TinyRun.config(directory, "falls")
                .set("training.steps=120")
                .set("samples.every=60")
                .read();
        Trainer.Outcome outcome = new Trainer(c, TrainListener.SILENT).start();
        List<Map<String, @Nullable Object>> lines = Metrics.read(c.run().resolve("metrics.jsonl"));
        assertEquals(
                List.of("step", "loss", "learning_rate", "gradient_norm", "tokens", "tokens_per_second", "seconds"),
                lines.getFirst().keySet().stream()
                        .filter(k -> !k.startsWith("joules")) // where the machine measures them
                        .toList());
        double first = ((Number) Objects.requireNonNull(lines.getFirst().get("loss"))).doubleValue();
        assertTrue(outcome.loss() < first / 2, "loss " + first + " to " + outcome.loss());
        assertNotNull(outcome.score());
        Path checkpoint = Objects.requireNonNull(outcome.checkpoint());
        assertTrue(checkpoint.endsWith("step-120"));
        for (String f :
                List.of("config.json", "model.safetensors", "tokenizer.json", "optimizer.safetensors", "state.json")) {
            assertTrue(Files.exists(checkpoint.resolve(f)), f);
        }
        assertTrue(Files.size(c.run().resolve("loss.svg")) > 0);
        assertEquals(c, new ConfigReader().file(c.run().resolve("config.yaml")).read());
        try (var saved = Files.list(c.run().resolve("checkpoints"))) {
            assertEquals(2, saved.count());
        }
        assertEquals(
                "run directory " + c.run() + " already holds step-120; continue it with: jacquard resume " + c.run()
                        + "; or choose another with --run",
                assertThrows(IllegalArgumentException.class, () -> new Trainer(c, TrainListener.SILENT).start())
                        .getMessage());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "training.dtype=f32",
                "training.dtype=bf16",
                "optimizer.type=sgd",
                "training.graph=true",
                "training.recompute=true"
            })
    void resumedRunIsBitwiseThatNeverStopped(String setting) throws IOException {
        String name = setting.replaceAll("[.=]", "-");
        Trainer.Outcome whole = whole(TinyRun.config(directory, "whole-" + name).set(setting));
        TrainConfig parts =
                TinyRun.config(directory, "parts-" + name).set(setting).read();
        stopAt(7, parts);
        Trainer.Outcome resumed = new Trainer(parts, TrainListener.SILENT).resume();
        assertArrayEquals(TinyRun.weights(whole), TinyRun.weights(resumed));
        assertArrayEquals(TinyRun.optimizer(whole), TinyRun.optimizer(resumed));
        assertEquals(whole.score(), resumed.score());
    }

    @Test
    void recordedAndRecomputedStepsAreTheSameSteps() throws IOException {
        byte[] plain = TinyRun.weights(whole(TinyRun.config(directory, "plain")));
        assertArrayEquals(
                plain, TinyRun.weights(whole(TinyRun.config(directory, "graph").set("training.graph=true"))));
        assertArrayEquals(
                plain,
                TinyRun.weights(whole(TinyRun.config(directory, "recompute").set("training.recompute=true"))));
    }

    @Test
    void damagedStateIsSkipped() throws IOException {
        TrainConfig c = TinyRun.config(directory, "damaged").read();
        Trainer.Outcome whole = new Trainer(c, TrainListener.SILENT).start();
        byte[] expected = TinyRun.weights(whole);
        Path file = Objects.requireNonNull(whole.checkpoint()).resolve("model.safetensors");
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length - 1] ^= 1;
        Files.write(file, bytes);
        List<String> notes = new ArrayList<>();
        Trainer.Outcome again = new Trainer(c, new TrainListener() {
                    @Override
                    public void noted(String line) {
                        notes.add(line);
                    }
                })
                .resume();
        assertTrue(notes.getFirst().contains("step-12"), notes.toString());
        assertArrayEquals(expected, TinyRun.weights(again));
    }

    @Test
    void nonFiniteStepsStopTheRunAndSpareTheSavedState() throws IOException {
        TrainConfig c = TinyRun.config(directory, "absurd")
                .set("optimizer.learningRate=1e30")
                .set("optimizer.warmup=0")
                .set("training.nonFiniteLimit=3")
                .set("checkpoints.every=1")
                .read();
        IllegalStateException e =
                assertThrows(IllegalStateException.class, () -> new Trainer(c, TrainListener.SILENT).start());
        assertTrue(
                e.getMessage()
                        .matches("step \\d+ was not applied: loss \\S+, gradient norm \\S+; 3 such steps in a row"
                                + " \\(training.nonFiniteLimit\\) stop the run; the last good state is step 1; try a lower"
                                + " optimizer.learningRate or a longer optimizer.warmup"),
                e.getMessage());
        assertFalse(Files.exists(c.run().resolve("checkpoints/step-3")));
    }

    @Test
    void planCannotChangeWithinARun() throws IOException {
        stopAt(3, TinyRun.config(directory, "plan").read());
        TrainConfig other =
                TinyRun.config(directory, "plan").set("training.seed=2").read();
        IllegalArgumentException e =
                assertThrows(IllegalArgumentException.class, () -> new Trainer(other, TrainListener.SILENT).resume());
        assertEquals(
                "resume: training.seed is 2, but " + other.run().resolve("checkpoints/step-3")
                        + " was made with 1337; it cannot change within a run",
                e.getMessage());
    }

    @Test
    void scoreIsTheSameForEveryBatchSize() throws IOException {
        Trainer.Outcome run = whole(TinyRun.config(directory, "score"));
        List<Path> shards = TrainingData.shards(directory.resolve("data"), "val");
        try (LoadedModel m = LoadedModel.open(Objects.requireNonNull(run.checkpoint()), "cpu", DType.F32, _ -> {});
                Batches data = Batches.open(shards, 32, m.decoder().config().vocabulary(), 0)) {
            Score one = new Evaluator(m.decoder(), m.tokenizer(), 1).score(data, 23);
            for (int batch : new int[] {2, 3, 8, 23, 64}) {
                assertEquals(one, new Evaluator(m.decoder(), m.tokenizer(), batch).score(data, 23), "batch " + batch);
            }
            assertEquals(23 * 32, one.tokens());
            StringBuilder a = new StringBuilder();
            StringBuilder b = new StringBuilder();
            new Generator(m.decoder(), m.tokenizer()).generate("the ", 40, new Sampling(0.8f, 10, 0.9f), 3, a::append);
            new Generator(m.decoder(), m.tokenizer()).generate("the ", 40, new Sampling(0.8f, 10, 0.9f), 3, b::append);
            assertEquals(a.toString(), b.toString());
        }
    }
}
