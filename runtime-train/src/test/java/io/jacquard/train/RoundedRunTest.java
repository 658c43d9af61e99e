package io.jacquard.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.jacquard.io.Safetensors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Runs whose optimizer keeps its state in BF16.
class RoundedRunTest {
    @TempDir
    static Path directory = Path.of("");

    @BeforeAll
    static void prepare() throws IOException {
        TinyRun.prepare(directory);
    }

    private static ConfigReader bf16(String run, String state) {
        return TinyRun.config(directory, run)
                .set("training.dtype=bf16")
                .set("training.gradientDtype=bf16")
                .set("optimizer.stateDtype=" + state);
    }

    private static Trainer.Outcome whole(ConfigReader config) throws IOException {
        return new Trainer(config.read(), TrainListener.SILENT).start();
    }

    @ParameterizedTest
    @CsvSource({"adamw, false", "adamw, true", "sgd, false"})
    void resumedRunIsBitwiseThatNeverStopped(String type, boolean graph) throws IOException {
        String name = type + graph;
        Trainer.Outcome whole = whole(bf16("whole " + name, "bf16").set("optimizer.type=" + type));
        TrainConfig parts = bf16("parts " + name, "bf16")
                .set("optimizer.type=" + type)
                .set("training.graph=" + graph)
                .read();
        Trainer[] trainer = new Trainer[1];
        trainer[0] = new Trainer(parts, new TrainListener() {
            @Override
            public void stepped(Metrics.Step s) {
                if (s.step() == 7) {
                    trainer[0].requestStop();
                }
            }
        });
        assertFalse(trainer[0].start().complete());
        Trainer.Outcome resumed = new Trainer(parts, TrainListener.SILENT).resume();
        assertArrayEquals(TinyRun.weights(whole), TinyRun.weights(resumed));
        assertArrayEquals(TinyRun.optimizer(whole), TinyRun.optimizer(resumed));
        Path state = Objects.requireNonNull(whole.checkpoint()).resolve("optimizer.safetensors");
        try (Safetensors saved = Safetensors.open(state)) {
            assertEquals(
                    type.equals("sgd") ? Set.of("momentum BF16", "step I32") : Set.of("m BF16", "v BF16", "step I32"),
                    saved.tensors().stream()
                            .map(t -> t.name().replaceFirst("\\..*", "") + " " + t.type())
                            .collect(Collectors.toSet()));
        }
    }

    /// 200 steps from a loss of 5.57 to 0.19. Of five seeds, runs in F32 ended at 0.190 to 0.222, those in BF16 up
    /// to 7 % from the run of the same seed, and their means 0.7 % apart. Steps are large here, and rounding to
    /// nearest would do as well: what that loses is what the optimizers' own tests are about.
    @Test
    void learnsAsWithStateInF32() throws IOException {
        double exact = validation("exact", "f32");
        double rounded = validation("rounded", "bf16");
        assertEquals(exact, rounded, 0.1 * exact);
    }

    private static double validation(String run, String state) throws IOException {
        Trainer.Outcome outcome =
                whole(bf16(run, state).set("training.steps=200").set("evaluation.sequences=64"));
        return Objects.requireNonNull(outcome.score()).loss();
    }

    @Test
    void theTypeOfTheStateCannotChangeWithinARun() throws IOException {
        Path mixed = Objects.requireNonNull(whole(bf16("mixed", "f32")).checkpoint());
        assertEquals(
                mixed + ": holds [m, master, step, v], the optimizer needs [m, step, v]; optimizer.type,"
                        + " optimizer.stateDtype and training.dtype cannot change within a run",
                refusal(bf16("mixed", "bf16")));
        Path rounded = Objects.requireNonNull(whole(bf16("again", "bf16")).checkpoint());
        assertEquals(
                rounded + ": holds [m, step, v], the optimizer needs [m, master, step, v]; optimizer.type,"
                        + " optimizer.stateDtype and training.dtype cannot change within a run",
                refusal(bf16("again", "f32")));
        Path plain =
                Objects.requireNonNull(whole(TinyRun.config(directory, "plain")).checkpoint());
        assertEquals(
                plain
                        + ": 'm.transformer.wte.weight' is F32 [257, 32], the optimizer's is [257, 32] BF16; optimizer.type,"
                        + " optimizer.stateDtype and training.dtype cannot change within a run",
                refusal(bf16("plain", "bf16")));
    }

    private static String refusal(ConfigReader config) {
        return assertThrows(
                        IllegalArgumentException.class,
                        () -> new Trainer(config.set("training.steps=13").read(), TrainListener.SILENT).resume())
                .getMessage();
    }
}
