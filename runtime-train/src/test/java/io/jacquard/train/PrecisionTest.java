package io.jacquard.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Runs whose linear layers multiply in low precision.
class PrecisionTest {
    @TempDir
    static Path directory = Path.of("");

    @BeforeAll
    static void prepare() throws IOException {
        TinyRun.prepare(directory);
    }

    private static final class Notes implements TrainListener {
        final List<String> lines = new ArrayList<>();
        private @Nullable Trainer trainer;

        @Override
        public void noted(String line) {
            lines.add(line);
        }

        @Override
        public void stepped(Metrics.Step s) {
            if (s.step() == 5 && trainer != null) {
                trainer.requestStop();
            }
        }
    }

    private static List<Double> losses(TrainConfig config) throws IOException {
        List<Double> losses = new ArrayList<>();
        for (Map<String, @Nullable Object> line : Metrics.read(config.run().resolve("metrics.jsonl"))) {
            if (line.get("loss") instanceof Number n) {
                losses.add(n.doubleValue());
            }
        }
        return losses;
    }

    @ParameterizedTest
    @ValueSource(strings = {"fp8-delayed", "fp8-current", "fp8-rowwise", "fp8-block", "int8", "int4-qat"})
    void theGapIsMeasured(String precision) throws IOException {
        TrainConfig exact = TinyRun.config(directory, "exact-" + precision).read();
        new Trainer(exact, TrainListener.SILENT).start();
        TrainConfig low = TinyRun.config(directory, precision)
                .set("training.precision=" + precision)
                .set("training.gapSteps=8")
                .set("training.graph=true")
                .read();
        Notes notes = new Notes();
        new Trainer(low, notes).start();

        Map<String, @Nullable Object> file = Json.readObject(low.run().resolve("precision.json"), 1 << 20);
        assertEquals(losses(exact).subList(0, 8), file.get("reference"));
        List<Double> ours = losses(low);
        assertEquals(ours.subList(0, 8), file.get("losses"));
        assertFalse(ours.equals(losses(exact)), "nothing was rounded");
        for (int i = 0; i < 12; i++) { // a model that learns quickly, from steps of which the first are chaos
            assertEquals(losses(exact).get(i), ours.get(i), 0.1 * losses(exact).get(i), "step " + (i + 1));
        }
        double gap = ((Number) file.get("gap")).doubleValue();
        double low8 = ours.get(6) + ours.get(7);
        double exact8 = losses(exact).get(6) + losses(exact).get(7);
        assertEquals(low8 / exact8 - 1, gap, 1e-6);
        List<?> tensors = (List<?>) file.get("tensors");
        assertEquals(2 * 4 * (precision.equals("int4-qat") ? 1 : 3), tensors.size());
        for (Object t : tensors) {
            Map<?, ?> tensor = (Map<?, ?>) t;
            double error = ((Number) tensor.get("error")).doubleValue();
            assertTrue(error > 1e-4 && error < 0.2, tensor.toString());
            assertTrue(((Number) tensor.get("underflow")).doubleValue() < 0.9, tensor.toString());
            assertTrue(((Number) tensor.get("overflow")).doubleValue() < 0.05, tensor.toString());
        }
        assertEquals(
                "precision " + precision + ": 8 steps in f32 first, to compare losses with (training.gapSteps: 0 for"
                        + " none)",
                notes.lines.getFirst());
        assertTrue(
                notes.lines
                        .get(notes.lines.size() - 2)
                        .matches("precision " + precision + ": loss \\d\\.\\d{4} against \\d\\.\\d{4} in f32, mean of"
                                + " steps 7 to 8: [+-]\\d+\\.\\d\\d %"),
                notes.lines.toString());
        assertTrue(
                notes.lines
                        .getLast()
                        .matches(
                                "rounding, at most: underflow .*, overflow .*, error \\S+ % \\(transformer\\.\\S+ \\w+\\);"
                                        + " all in precision\\.json"),
                notes.lines.getLast());
    }

    @ParameterizedTest
    @ValueSource(strings = {"fp8-delayed", "fp8-block", "int4-qat"})
    void resumedRunIsBitwiseThatNeverStopped(String precision) throws IOException {
        TrainConfig whole = TinyRun.config(directory, "whole-" + precision)
                .set("training.precision=" + precision)
                .set("training.gapSteps=9")
                .read();
        Trainer.Outcome expected = new Trainer(whole, TrainListener.SILENT).start();
        TrainConfig parts = TinyRun.config(directory, "parts-" + precision)
                .set("training.precision=" + precision)
                .set("training.gapSteps=9")
                .read();
        Notes stops = new Notes();
        stops.trainer = new Trainer(parts, stops);
        assertFalse(stops.trainer.start().complete());
        Trainer.Outcome resumed = new Trainer(parts, TrainListener.SILENT).resume();
        assertArrayEquals(TinyRun.weights(expected), TinyRun.weights(resumed));
        assertArrayEquals(TinyRun.optimizer(expected), TinyRun.optimizer(resumed));
        assertEquals(
                Files.readString(whole.run().resolve("precision.json")),
                Files.readString(parts.run().resolve("precision.json")));
    }

    @Test
    void aRequestToStopEndsTheComparison() throws IOException {
        TrainConfig config = TinyRun.config(directory, "stopped")
                .set("training.precision=int8")
                .set("training.gapSteps=10")
                .read();
        Trainer[] trainer = new Trainer[1];
        int[] compared = new int[1];
        trainer[0] = new Trainer(config, new TrainListener() {
            @Override
            public void compared(int step, int steps) {
                compared[0] = step;
                if (step == 3) {
                    trainer[0].requestStop();
                }
            }
        });
        Trainer.Outcome outcome = trainer[0].start();
        assertFalse(outcome.complete());
        assertEquals(3, compared[0]);
        assertEquals(1, outcome.step()); // a run looks after each step
        assertGoesOnWithoutGap(config);
    }

    private static void assertGoesOnWithoutGap(TrainConfig config) throws IOException {
        Notes notes = new Notes();
        assertTrue(new Trainer(config, notes).resume().complete());
        String label = config.training().precision().label();
        assertEquals(
                "precision " + label + ": the first steps of this run were not compared with those in f32, so that its"
                        + " end says no gap",
                notes.lines.getFirst());
        assertTrue(notes.lines.getLast().startsWith("rounding, at most: "), notes.lines.toString());
        Map<String, @Nullable Object> file = Json.readObject(config.run().resolve("precision.json"), 1 << 20);
        assertEquals(List.of("precision", "against", "reference", "losses", "tensors"), List.copyOf(file.keySet()));
        assertEquals(label, file.get("precision"));
        assertEquals(List.of(), file.get("losses"));
    }

    @Test
    void aRunThatGoesOnInAnotherPrecisionHasNoGap() throws IOException {
        ConfigReader config = TinyRun.config(directory, "another")
                .set("training.precision=fp8-current")
                .set("training.gapSteps=2")
                .set("training.steps=3");
        new Trainer(config.read(), TrainListener.SILENT).start();
        assertGoesOnWithoutGap(
                config.set("training.precision=int8").set("training.steps=5").read());
    }

    @Test
    void aReportOfNumbersThatAreNotFiniteCanBeRead() throws IOException {
        ConfigReader config = TinyRun.config(directory, "not finite")
                .set("training.precision=fp8-current")
                .set("training.gapSteps=1")
                .set("training.steps=2")
                .set("optimizer.learningRate=1e38")
                .set("optimizer.warmup=0");
        Notes notes = new Notes();
        new Trainer(config.read(), notes).start();
        assertTrue(notes.lines.getLast().contains(", error NaN % ("), notes.lines.toString());
        Map<String, @Nullable Object> file = Json.readObject(config.read().run().resolve("precision.json"), 1 << 20);
        assertTrue(file.get("tensors").toString().contains("error=not finite"), file.toString());
    }

    @Test
    void whatDoesNotGoTogetherIsRefusedBeforeTheFirstStep() {
        TrainConfig config = TinyRun.config(directory, "refused")
                .set("training.precision=int8")
                .set("parallel.chunks=2")
                .set("parallel.schedule=gpipe")
                .read();
        Notes notes = new Notes();
        assertEquals(
                "parallel.chunks 2 belong to the schedule 1f1b, not to gpipe; set parallel.schedule to 1f1b or"
                        + " parallel.chunks to 1",
                assertThrows(IllegalArgumentException.class, () -> new Trainer(config, notes).start())
                        .getMessage());
        assertEquals(List.of(), notes.lines);
        assertFalse(Files.exists(config.run()));
    }

    @Test
    void endsOfTheModelCanStayAsTheyAre() throws IOException {
        TrainConfig config = TinyRun.config(directory, "ends")
                .set("training.precision=fp8-current")
                .set("model.layers=3")
                .set("training.precisionEnds=1")
                .set("training.steps=2")
                .set("training.gapSteps=1")
                .read();
        new Trainer(config, TrainListener.SILENT).start();
        Map<String, @Nullable Object> file = Json.readObject(config.run().resolve("precision.json"), 1 << 20);
        for (Object tensor : (List<?>) file.get("tensors")) {
            assertTrue(tensor.toString().contains("transformer.h.1."), tensor.toString());
        }
        assertEquals(12, ((List<?>) file.get("tensors")).size());
    }

    @Test
    void morePartsOfTheModelCanStayAsTheyAreWithinARunAndNotFewer() throws IOException {
        ConfigReader config = TinyRun.config(directory, "fewer ends")
                .set("training.precision=fp8-delayed")
                .set("model.layers=5")
                .set("training.precisionEnds=1")
                .set("training.gapSteps=0")
                .set("training.steps=3");
        new Trainer(config.read(), TrainListener.SILENT).start();
        TrainConfig fewer =
                config.set("training.precisionEnds=0").set("training.steps=4").read();
        assertEquals(
                fewer.run().resolve("checkpoints/step-3") + ": has no scales of 'transformer.h.0.attn.c_attn', which"
                        + " was not rounded before; within a run of fp8-delayed training.precisionEnds can grow, not"
                        + " shrink",
                assertThrows(IllegalArgumentException.class, () -> new Trainer(fewer, TrainListener.SILENT).resume())
                        .getMessage());
        TrainConfig more = config.set("training.precisionEnds=2").read();
        assertTrue(new Trainer(more, TrainListener.SILENT).resume().complete());
    }

    @Test
    void nothingIsComparedWhereNothingIsAsked() throws IOException {
        TrainConfig config = TinyRun.config(directory, "unmeasured")
                .set("training.precision=int8")
                .set("training.gapSteps=0")
                .read();
        Notes notes = new Notes();
        new Trainer(config, notes).start();
        assertTrue(notes.lines.stream().noneMatch(l -> l.startsWith("precision")), notes.lines.toString());
        assertFalse(Files.exists(config.run().resolve("precision.json")));
    }
}
