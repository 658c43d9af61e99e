package io.jacquard.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.cuda.driver.Emulator;
import io.jacquard.data.Corpus;
import io.jacquard.group.SoloGroup;
import io.jacquard.nn.DecoderConfig;
import io.jacquard.optim.Shards;
import io.jacquard.parallel.Mesh;
import io.jacquard.parallel.MeshModel;
import io.jacquard.parallel.Topology;
import io.jacquard.tensor.Session;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Nothing waits inside a training step: the emulated driver counts.
final class TrainStepWaitsTest {
    @TempDir
    static Path directory = Path.of("");

    @BeforeAll
    static void prepare() throws IOException {
        Emulator.configure("arch", "90");
        Path file = directory.resolve("text.txt");
        Files.writeString(file, "the cats ate fish and the fish ate cats\n".repeat(200));
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

    private static TrainConfig config(String run, boolean graph) {
        return new ConfigReader()
                .yaml("tiny", """
                model: {layers: 1, heads: 2, width: 32, context: 16, dropout: 0.1}
                training: {steps: 6, microBatch: 2, accumulation: 2}
                optimizer: {learningRate: 0.01, warmup: 2}
                evaluation: {sequences: 2}
                checkpoints: {every: 0}
                """)
                .set("data.directory", directory.resolve("data"), "test")
                .set("run", directory.resolve(run), "test")
                .set("device", "cuda:0", "test")
                .set("training.graph", graph, "test")
                .read();
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void noWaitFromLaunchToLaunch(boolean graph) throws IOException {
        TrainConfig config = config("unused", graph);
        try (TrainingData data = TrainingData.open(config);
                Session _ = Session.open(config.device())) {
            TrainConfig.Model m = config.model();
            DecoderConfig shape = new DecoderConfig(
                    "gpt2",
                    data.tokenizer().vocabularySize(),
                    m.context(),
                    m.layers(),
                    m.heads(),
                    m.heads(),
                    m.width(),
                    m.effectiveHidden(),
                    1e-5f,
                    10000f,
                    m.dropout(),
                    true);
            var plan = new MeshModel.Plan(
                    1,
                    new Shards.Plan(1, 0),
                    config.training().dtype().dtype(),
                    config.training().gradientDtype().dtype());
            List<TrainStep.Launched> launched = new ArrayList<>();
            MeshModel model = MeshModel.of(shape, new Mesh(new SoloGroup(), Topology.ONE), plan, 1);
            try (TrainStep step =
                    new TrainStep(model, Optimizers.optimizer(config, model.shards()), data.train(), config)) {
                // the first runs as it is, the second is recorded: both may allocate
                for (int i = 0; i < 2; i++) {
                    step.load(i);
                    launched.add(step.launch(0.01f, false, false));
                }
                int waits = Emulator.waits();
                for (int i = 2; i < 6; i++) {
                    step.load(i);
                    launched.add(step.launch(0.01f, false, false));
                    assertFalse(launched.getFirst().isDone());
                }
                assertEquals(waits, Emulator.waits());
                assertTrue(launched.get(1).result().finite());
                assertEquals(waits + 1, Emulator.waits());
                assertFalse(launched.get(2).isDone());
                for (TrainStep.Launched l : launched) {
                    assertTrue(l.result().finite());
                }
                assertTrue(launched.getLast().result().loss()
                        < launched.getFirst().result().loss());
            }
        }
    }

    @Test
    void theTrainerWaitsOnceForAStepAndBehindTheNextLaunch() throws IOException {
        List<Integer> waits = new ArrayList<>();
        List<Integer> replays = new ArrayList<>();
        new Trainer(config("run", true), new TrainListener() {
                    @Override
                    public void stepped(Metrics.Step s) {
                        waits.add(Emulator.waits());
                        replays.add(Emulator.calls("cuGraphLaunch"));
                    }
                })
                .start();
        assertEquals(6, waits.size());
        for (int i = 1; i < 6; i++) {
            assertEquals(1, waits.get(i) - waits.get(i - 1), "waits for step " + (i + 1));
        }
        // the first step is no replay; the last has none behind it
        for (int i = 0; i < 6; i++) {
            assertEquals(Math.min(i + 1, 5), replays.get(i) - replays.getFirst() + 1, "replays at step " + (i + 1));
        }
    }
}
