package io.jacquard.examples;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.data.Batches;
import io.jacquard.data.TokenFileWriter;
import io.jacquard.group.Group;
import io.jacquard.group.LocalGroup;
import io.jacquard.group.SoloGroup;
import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.Init;
import io.jacquard.nn.Parameter;
import io.jacquard.nn.Weights;
import io.jacquard.ops.Ops;
import io.jacquard.optim.AdamW;
import io.jacquard.optim.AdamWSettings;
import io.jacquard.optim.Shards;
import io.jacquard.parallel.BatchShare;
import io.jacquard.parallel.Instruction;
import io.jacquard.parallel.Instruction.Kind;
import io.jacquard.parallel.Mesh;
import io.jacquard.parallel.MeshModel;
import io.jacquard.parallel.Pipeline;
import io.jacquard.parallel.Schedule;
import io.jacquard.parallel.Stage;
import io.jacquard.parallel.StepInputs;
import io.jacquard.parallel.Timeline;
import io.jacquard.parallel.Topology;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What docs/parallel.md and docs/pipeline.md show, run: ranks train what one rank trains.
final class ManyRanksTest {
    private static final int STEPS = 6;
    private static final int ROWS = 2;
    private static final int MICRO_BATCHES = 4;
    private static final long SEED = 1337;

    @TempDir
    private Path folder = Path.of("");

    // ---- docs/parallel.md

    private static float[] trained(DecoderConfig config, Batches data, Topology topology, int zero) {
        float[] losses = new float[STEPS];
        LocalGroup.run(topology.ranks(), world -> {
            try (Session _ = Session.open("cpu");
                    Mesh mesh = new Mesh(world, topology)) {
                BatchShare share = BatchShare.of(ROWS, MICRO_BATCHES, mesh.data()); // what of a step is this replica's
                Shards.Plan shards = new Shards.Plan(zero, share.microBatches());
                MeshModel.Plan plan = new MeshModel.Plan(1, shards, DType.F32, DType.F32);
                MeshModel model = MeshModel.of(config, mesh, plan, SEED); // this rank's part, with memory
                AdamW optimizer = new AdamW(model.shards(), AdamWSettings.DEFAULT);
                Tensor rate = Tensor.of(Shape.of(1), 3e-3f);
                StepInputs inputs = new StepInputs(share, config.context(), false, false, SEED);
                Schedule schedule = Schedule.oneForwardOneBackward(topology.pipeline(), share.microBatches());
                try (Pipeline pipeline = new Pipeline(mesh.pipeline(), schedule, model.stages(inputs))) {
                    for (int step = 0; step < STEPS; step++) {
                        feed(inputs, data, step);
                        model.shards().begin();
                        try (Scope _ = Scope.open("step")) {
                            pipeline.run(); // forward and backward of all micro-batches
                            optimizer.step(rate);
                            Tensor loss = Ops.sum(inputs.losses()); // zero where another rank computes it
                            world.allReduce(loss).join();
                            losses[step] = loss.item(); // the same on all ranks
                        }
                    }
                }
            }
        });
        return losses;
    }

    /// Copies this replica's share of a step to the device.
    static void feed(StepInputs inputs, Batches data, long step) {
        BatchShare share = inputs.share();
        int size = share.rows() * data.context();
        int[] tokens = new int[share.microBatches() * size];
        int[] labels = new int[tokens.length];
        int[] t = new int[size];
        int[] l = new int[size];
        for (int m = 0; m < share.microBatches(); m++) {
            data.fill(step, m, share.layout(), t, l);
            System.arraycopy(t, 0, tokens, m * size, size);
            System.arraycopy(l, 0, labels, m * size, size);
        }
        inputs.set(step, tokens, labels, data.labelsPerStep(share.layout()));
    }

    @ParameterizedTest
    @CsvSource({"2, 2, 1, 2", "2, 1, 2, 3"})
    void aMeshTrainsWhatOneRankTrains(int data, int tensor, int pipeline, int zero) throws IOException {
        DecoderConfig config = DecoderConfig.gpt2(17, 16, 2, 2, 16);
        Path file = folder.resolve("tokens.bin");
        TokenFileWriter.write(file, 17, to -> {
            for (int i = 0; i < 2000; i++) {
                to.append(i * i % 17);
            }
        });
        try (Batches batches = Batches.open(List.of(file), config.context(), 17, SEED)) {
            float[] one = trained(config, batches, Topology.ONE, 1);
            float[] many = trained(config, batches, new Topology(data, tensor, pipeline), zero);
            assertArrayEquals(one, many, 1e-5f * one[0]);
            assertTrue(one[STEPS - 1] < one[0], one[0] + " to " + one[STEPS - 1]);
        }
    }

    // ---- docs/pipeline.md

    /// This rank's layers of a network: the first ones read the data, the last ones end in the loss.
    record Layers(List<Parameter> weights, List<Tensor> data, boolean isLast) implements Stage {
        private static final int WIDTH = 8;

        @Override
        public Shape inputShape() { // of what comes from the stage before
            return Shape.of(ROWS, WIDTH);
        }

        @Override
        public DType inputDType() {
            return DType.F32;
        }

        @Override
        public Tensor forward(@Nullable Tensor x, int microBatch) {
            Tensor y = x == null ? data.get(microBatch) : x; // null in the first stage
            for (Parameter w : weights) {
                y = Ops.add(y, Ops.gelu(Ops.linear(y, w.value(), null)));
            }
            return isLast ? Ops.sum(Ops.mul(y, y)) : y; // the last one returns the loss, F32 [1]
        }
    }

    static void train(Group group, Weights weights, Layers layers) {
        Tensor rate = Tensor.of(Shape.of(1), 3e-3f);
        Shards shards = Shards.of(weights, new Shards.Ranks(new SoloGroup(), group)); // no replicas; one norm for all
        AdamW optimizer = new AdamW(shards, AdamWSettings.DEFAULT);
        Schedule schedule = Schedule.oneForwardOneBackward(group.size(), MICRO_BATCHES);
        try (Pipeline pipeline = new Pipeline(group, schedule, List.of(layers))) {
            for (int step = 0; step < STEPS; step++) {
                try (Scope _ = Scope.open("step")) {
                    pipeline.run();
                    optimizer.step(rate);
                }
            }
        }
    }

    /// Four layers on so many ranks; their weights afterwards.
    private static Map<String, float[]> trainedLayers(int ranks) {
        Map<String, float[]> trained = new ConcurrentHashMap<>();
        LocalGroup.run(ranks, group -> {
            try (Session _ = Session.open("cpu")) {
                Weights weights = new Weights();
                int here = 4 / ranks;
                for (int i = group.rank() * here; i < (group.rank() + 1) * here; i++) {
                    weights.in(i).declare("weight", Shape.of(Layers.WIDTH, Layers.WIDTH), Init.normal(0.5f));
                }
                weights.allocate(DType.F32, DType.F32, SEED);
                List<Tensor> data = new ArrayList<>();
                SplittableRandom random = new SplittableRandom(SEED);
                for (int m = 0; m < MICRO_BATCHES; m++) {
                    float[] x = new float[ROWS * Layers.WIDTH];
                    for (int i = 0; i < x.length; i++) {
                        x[i] = random.nextFloat() - 0.5f;
                    }
                    data.add(Tensor.of(Shape.of(ROWS, Layers.WIDTH), x));
                }
                train(group, weights, new Layers(weights.parameters(), data, group.rank() == ranks - 1));
                weights.parameters()
                        .forEach(p -> trained.put(p.name(), p.value().toFloats()));
            }
        });
        return trained;
    }

    @Test
    void aPipelineTrainsWhatOneRankTrains() {
        Map<String, float[]> one = trainedLayers(1);
        Map<String, float[]> two = trainedLayers(2);
        assertEquals(one.keySet(), two.keySet());
        one.forEach((name, values) -> assertArrayEquals(values, two.get(name), 1e-6f, name)); // the norm's last bit
    }

    private static Timeline simulated(Path folder) throws IOException {
        Instruction f0 = new Instruction(Kind.FORWARD, 0, 0); // micro-batch 0 in chunk 0
        Instruction f1 = new Instruction(Kind.FORWARD, 1, 0);
        Instruction b0 = new Instruction(Kind.BACKWARD, 0, 0);
        Instruction b1 = new Instruction(Kind.BACKWARD, 1, 0);
        Schedule mine = new Schedule("mine", List.of(List.of(f0, f1, b0, b1), List.of(f0, b0, f1, b1)));
        Timeline timeline = mine.simulate(new Timeline.Cost(10, 11, 9));
        System.out.println("bubble " + timeline.bubble() + "; rank 0 keeps " + mine.peakInFlight(0) + " micro-batches");
        Files.writeString(folder.resolve("mine.svg"), timeline.toSvg());
        return timeline;
    }

    /// Two micro-batches of 30 each, and the last rank waits for a forward, the first one for a backward.
    @Test
    void aScheduleOfOnesOwn() throws IOException {
        Timeline timeline = simulated(folder);
        assertEquals(2 * 30 + 10 + 20, timeline.duration());
        assertEquals(30 / 90.0, timeline.bubble(), 1e-9);
        assertTrue(Files.readString(folder.resolve("mine.svg")).contains("<svg"));
    }
}
