package io.jacquard.parallel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.jacquard.group.Group;
import io.jacquard.group.LocalGroup;
import io.jacquard.group.SoloGroup;
import io.jacquard.io.WholeParameters;
import io.jacquard.nn.DecoderConfig;
import io.jacquard.optim.AdamW;
import io.jacquard.optim.AdamWSettings;
import io.jacquard.optim.Shards;
import io.jacquard.optim.StateType;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// State in BF16 is rounded by the same random numbers, whatever ranks have it. So that all else is the same, too, each
/// replica has the sequences of all others, the scale of the loss is a power of two less, and nothing is clipped.
final class RoundedMeshTest {
    private static final int CONTEXT = 16;
    private static final int VOCABULARY = 37;
    private static final int ROWS = 2;
    private static final DecoderConfig MODEL =
            new DecoderConfig("llama", VOCABULARY, CONTEXT, 4, 4, 2, 32, 48, 1e-5f, 1e4f, 0f, false);
    private static final AdamWSettings SETTINGS = new AdamWSettings(0.9f, 0.99f, 1e-8f, 0.1f, 0f);

    @ParameterizedTest
    @CsvSource({"2, 1, 1", "2, 1, 2", "2, 1, 3", "4, 1, 1", "4, 1, 3", "1, 2, 1", "1, 4, 1", "2, 2, 3"})
    void sameBitsAsOneRank(int data, int pipeline, int zero) {
        Map<String, short[]> one = new ConcurrentHashMap<>();
        try (Session _ = Session.open("cpu")) {
            train(new SoloGroup(), Topology.ONE, 1, one);
        }
        Map<String, short[]> many = new ConcurrentHashMap<>();
        Topology topology = new Topology(data, 1, pipeline);
        LocalGroup.run(topology.ranks(), world -> {
            try (Session _ = Session.open("cpu")) {
                train(world, topology, zero, many);
            }
        });
        assertEquals(one.keySet(), many.keySet());
        one.forEach((name, bits) -> assertArrayEquals(bits, many.get(name), name));
    }

    private static void train(Group world, Topology topology, int zero, Map<String, short[]> bits) {
        try (var _ = Scope.open("run");
                Mesh mesh = new Mesh(world, topology)) {
            BatchShare share = BatchShare.of(ROWS * topology.data(), 1, mesh.data());
            var plan = new MeshModel.Plan(1, new Shards.Plan(zero, share.microBatches()), DType.BF16, DType.BF16);
            MeshModel model = MeshModel.of(MODEL, mesh, plan, 5);
            AdamW optimizer = new AdamW(model.shards(), SETTINGS, StateType.bf16(11));
            StepInputs inputs = new StepInputs(share, CONTEXT, false, false, 9);
            Schedule schedule = Schedule.oneForwardOneBackward(topology.pipeline(), 1);
            Tensor rate = Tensor.of(Shape.of(1), 1e-2f);
            try (Pipeline steps = new Pipeline(mesh.pipeline(), schedule, model.stages(inputs))) {
                for (int i = 0; i < 4; i++) {
                    SplittableRandom random = new SplittableRandom(i);
                    int n = ROWS * CONTEXT;
                    int[] tokens = random.ints(n, 0, VOCABULARY).toArray();
                    inputs.set(i, tokens, random.ints(n, 0, VOCABULARY).toArray(), (long) n * topology.data());
                    model.shards().begin();
                    try (var _ = Scope.open("step")) {
                        steps.run();
                        optimizer.step(rate);
                    }
                }
            }
            keep(model, optimizer, bits);
        }
    }

    private static void keep(MeshModel model, AdamW optimizer, Map<String, short[]> bits) {
        try (Arena host = Arena.ofConfined()) {
            var whole = new WholeParameters(
                    model.shards(), model.decoder().partition().tensor());
            whole.values(host).forEach(w -> put(bits, "", w));
            optimizer.state().forEach((name, tensor) -> {
                if (tensor.size() > 1) {
                    whole.state(tensor, host).forEach(w -> put(bits, name + " of ", w));
                }
            });
        }
    }

    private static void put(Map<String, short[]> bits, String of, WholeParameters.Whole w) {
        bits.put(of + w.parameter().name(), w.data().toArray(ValueLayout.JAVA_SHORT));
    }
}
