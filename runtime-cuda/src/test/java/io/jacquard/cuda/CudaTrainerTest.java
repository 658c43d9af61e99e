package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.cuda.driver.Emulator;
import io.jacquard.data.Corpus;
import io.jacquard.group.Watch;
import io.jacquard.launch.Launch;
import io.jacquard.ranks.Ranks;
import io.jacquard.tensor.Debug;
import io.jacquard.train.ConfigReader;
import io.jacquard.train.DataPreparation;
import io.jacquard.train.Metrics;
import io.jacquard.train.TrainConfig;
import io.jacquard.train.TrainListener;
import io.jacquard.train.Trainer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What `./jacquard train --device cuda` does, on the emulated device: a captured step, recompute, bf16, dropout,
/// micro-batches, validation, checkpoints, resume.
final class CudaTrainerTest {
    @TempDir
    static Path directory = Path.of("");

    @BeforeAll
    static void prepare() throws IOException {
        Emulator.configure("arch", "90");
        Path file = directory.resolve("text.txt");
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 500; i++) {
            text.append("the ")
                    .append(i % 7)
                    .append(" cats ate ")
                    .append(i * i % 11)
                    .append(" fish\n");
        }
        Files.writeString(file, text);
        DataPreparation.run(
                new DataPreparation.Request(
                        List.of(file),
                        directory.resolve("data"),
                        Corpus.Options.DEFAULT,
                        null,
                        0,
                        0.1,
                        1 << 20,
                        false,
                        1),
                (_, _) -> {});
    }

    private static TrainConfig config(String run, String device, String dtype) {
        return new ConfigReader()
                .yaml("tiny", """
                model: {layers: 1, heads: 2, width: 32, context: 16, dropout: 0.1}
                training: {steps: 6, microBatch: 2, accumulation: 2, recompute: true, graph: true}
                optimizer: {learningRate: 0.01, warmup: 2}
                evaluation: {sequences: 2}
                checkpoints: {every: 3, keep: 2}
                """)
                .set("data.directory", directory.resolve("data"), "test")
                .set("run", directory.resolve(run), "test")
                .set("device", device, "test")
                .set("training.dtype", dtype, "test")
                .read();
    }

    /// The loss of each step.
    private static List<Float> train(TrainConfig config) throws IOException {
        List<Float> losses = new ArrayList<>();
        Trainer.Outcome outcome = new Trainer(config, new TrainListener() {
                    @Override
                    public void stepped(Metrics.Step step) {
                        losses.add(step.loss());
                    }
                })
                .start();
        assertEquals(6, outcome.step());
        return losses;
    }

    /// In F32 the first losses differ by the order of sums alone, and six steps with AdamW carry that on; in bf16
    /// by the last of 8 bits.
    @ParameterizedTest
    @ValueSource(strings = {"f32", "bf16"})
    void lossesAreThoseOfTheCpu(String dtype) throws IOException {
        List<Float> cpu = train(config("cpu-" + dtype, "cpu", dtype));
        List<Float> cuda = train(config("cuda-" + dtype, "cuda", dtype));
        for (int i = 0; i < cpu.size(); i++) {
            double bound = dtype.equals("f32") ? 1e-4 : 2e-2;
            assertEquals(1, cuda.get(i) / cpu.get(i), bound, "step " + (i + 1) + ": " + cpu + " and " + cuda);
        }
    }

    @Test
    void aRunThatWasStoppedEndsWithTheSameBits() throws IOException {
        TrainConfig whole = config("whole", "cuda:0", "bf16");
        train(whole);
        TrainConfig parts = config("parts", "cuda:0", "bf16");
        Trainer[] trainer = new Trainer[1];
        trainer[0] = new Trainer(parts, new TrainListener() {
            @Override
            public void stepped(Metrics.Step step) {
                if (step.step() == 4) {
                    trainer[0].requestStop();
                }
            }
        });
        assertFalse(trainer[0].start().complete());
        Trainer.Outcome resumed = new Trainer(parts, TrainListener.SILENT).resume();
        for (String file : List.of("model.safetensors", "optimizer.safetensors")) {
            assertArrayEquals(
                    Files.readAllBytes(whole.run().resolve("checkpoints/step-6").resolve(file)),
                    Files.readAllBytes(
                            Objects.requireNonNull(resumed.checkpoint()).resolve(file)),
                    file);
        }
    }

    @Test
    void ranksThatMeetOnTheHostCannotBeRecorded() {
        TrainConfig config = config("threads", "cuda", "f32");
        Executable start = () -> Ranks.run(Launch.SOLO, config.device(), 2, Watch.DEFAULT, world -> {
            try {
                new Trainer(config, TrainListener.SILENT).start(world);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
        System.setProperty(Ranks.PROPERTY, "local");
        try {
            assertEquals(
                    "training.graph: ranks joined as threads or by MPI meet on the host, which a graph of cuda:0 cannot"
                            + " record; set training.graph to false, or join ranks with a GPU each by NCCL"
                            + " (JACQUARD_GROUP=nccl)",
                    assertThrows(IllegalArgumentException.class, start).getMessage());
        } finally {
            System.clearProperty(Ranks.PROPERTY);
        }
    }

    /// A graph would hide its launches, so the steps run eagerly, and each launch is waited for: to the same bits.
    @Test
    void aDebuggedRunIsEagerAndEndsWithTheSameLosses() throws IOException {
        List<Float> recorded = train(config("recorded", "cuda", "f32"));
        List<String> notes = new ArrayList<>();
        List<Float> losses = new ArrayList<>();
        System.setProperty(Debug.SYNC, "true");
        try {
            new Trainer(config("debugged", "cuda", "f32"), new TrainListener() {
                        @Override
                        public void stepped(Metrics.Step step) {
                            losses.add(step.loss());
                        }

                        @Override
                        public void noted(String line) {
                            notes.add(line);
                        }
                    })
                    .start();
        } finally {
            System.clearProperty(Debug.SYNC);
        }
        assertEquals(recorded, losses);
        assertTrue(
                notes.contains("debugging looks at each launch, so steps run eagerly: training.graph is set aside"),
                notes::toString);
    }
}
