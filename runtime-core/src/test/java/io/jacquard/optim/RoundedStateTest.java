package io.jacquard.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.group.LocalGroup;
import io.jacquard.group.SoloGroup;
import io.jacquard.nn.Init;
import io.jacquard.nn.Parameter;
import io.jacquard.nn.Slice;
import io.jacquard.nn.Weights;
import io.jacquard.ops.Ops;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// State in BF16 that is rounded stochastically.
final class RoundedStateTest {
    private static final int MANY = 4096;
    private static final int STEPS = 2000;
    private static final AdamWSettings SLOW = new AdamWSettings(0.9f, 0.999f, 0f, 0f, 0f);

    private static double mean(Tensor t) {
        double sum = 0;
        for (float x : t.toFloats()) {
            sum += x;
        }
        return sum / t.size();
    }

    private static void steps(Weights weights, Optimizer optimizer, float gradient, float rate, int steps) {
        Tensor r = Tensor.of(Shape.of(1), rate);
        for (int i = 0; i < steps; i++) {
            try (var _ = Scope.open("step")) {
                for (Parameter p : weights.parameters()) {
                    Ops.sum(Ops.scale(p.value(), gradient)).backward();
                }
                optimizer.step(r);
            }
        }
    }

    /// With a gradient of 1 the second moment is `1 - 0.999^t`, each step of Adam the rate. In BF16, to nearest,
    /// the moment would stop where a thousandth of what is left is half a unit in the last place, at about a third;
    /// and the weight would never move from 1, since the rate is a twentieth of such a unit.
    @Test
    void smallUpdatesAreNotLost() {
        try (Session _ = Session.open("cpu")) {
            Weights weights = new Weights();
            Parameter w = weights.declare("w", Shape.of(MANY), Init.ONES);
            weights.allocate(DType.BF16, DType.BF16, 0);
            AdamW optimizer = new AdamW(Shards.of(weights, Shards.Ranks.ONE), SLOW, StateType.bf16(7));
            steps(weights, optimizer, 1f, 1e-4f, STEPS);
            // of one step of a moment at most half a unit, 2^-9; old ones fade: over sqrt(1 - 0.999^2) at the end
            double moment = 5 * 0x1p-9 / Math.sqrt(2e-3 * MANY);
            assertEquals(1 - Math.pow(0.999, STEPS), mean(optimizer.state().get("v")), moment);
            // chances of 1e-4 / 2^-8 of a unit add up
            double weight = 5 * Math.sqrt(STEPS * 1e-4 * 0x1p-8 / MANY);
            assertEquals(1 - 1e-4 * STEPS, mean(w.value()), weight + 0.01 * 1e-4 * STEPS);
        }
    }

    @Test
    void momentumSumsSmallGradients() {
        try (Session _ = Session.open("cpu")) {
            Weights weights = new Weights();
            Parameter w = weights.declare("w", Shape.of(MANY), Init.ONES);
            weights.allocate(DType.BF16, DType.BF16, 0);
            Sgd optimizer = new Sgd(Shards.of(weights, Shards.Ranks.ONE), 0.999f, 0f, 0f, StateType.bf16(7));
            steps(weights, optimizer, 0x1p-10f, 0f, STEPS);
            double exact = 0x1p-10 * (1 - Math.pow(0.999, STEPS)) / (1 - 0.999);
            assertEquals(exact, mean(optimizer.state().get("momentum")), 5 * 0x1p-9 / Math.sqrt(2e-3 * MANY) + 2e-4);
            assertEquals(1, mean(w.value()));
            assertEquals(STEPS, optimizer.state().get("step").item());
        }
    }

    @Test
    void anotherSeedRoundsOtherwiseAndTheSameAlike() {
        assertArrayEquals(afterThreeSteps(1), afterThreeSteps(1));
        assertTrue(Arrays.mismatch(afterThreeSteps(1), afterThreeSteps(2)) >= 0);
    }

    private static float[] afterThreeSteps(long seed) {
        try (Session _ = Session.open("cpu")) {
            Weights weights = new Weights();
            Parameter w = weights.declare("w", Shape.of(300), Init.ONES);
            weights.allocate(DType.BF16, DType.F32, 0);
            AdamW optimizer =
                    new AdamW(Shards.of(weights, Shards.Ranks.ONE), AdamWSettings.DEFAULT, StateType.bf16(seed));
            steps(weights, optimizer, 0.3f, 1e-3f, 3);
            return w.value().toFloats();
        }
    }

    @Test
    void takesTwoBytesForEachMoment() {
        try (Session session = Session.open("cpu")) {
            Weights weights = new Weights();
            weights.declare("w", Shape.of(1024, 1024), Init.ZEROS);
            weights.allocate(DType.BF16, DType.BF16, 0);
            assertEquals(4L << 20, session.usedBytes());
            AdamW optimizer = new AdamW(Shards.of(weights, Shards.Ranks.ONE), AdamWSettings.DEFAULT, StateType.bf16(0));
            assertEquals(
                    List.of("m", "v", "step"), List.copyOf(optimizer.state().keySet()));
            long tables = (1 << 20) / 256 * (1 + 8);
            assertEquals(8.0 * (1 << 20), (double) (session.usedBytes() - tables), 4096);
        }
    }

    /// What tensor ranks hold of a parameter is rounded by numbers of their own, what they hold copies of by the
    /// same.
    @Test
    void tensorRanksRoundSlicesApartAndCopiesAlike() {
        List<Map<String, float[]>> ranks = new ArrayList<>(List.of(Map.of(), Map.of()));
        LocalGroup.run(2, group -> {
            try (Session _ = Session.open("cpu")) {
                Weights weights = new Weights();
                List<Slice> halves = List.of(
                        new Slice(1, List.of(new Slice.Range(0, 20))), new Slice(1, List.of(new Slice.Range(20, 40))));
                Parameter slice = weights.declare("w", Shape.of(30, 40), halves, group.rank(), Init.ONES);
                Parameter copy = weights.copies("copies", group).declare("b", Shape.of(600), Init.ONES);
                weights.allocate(DType.BF16, DType.F32, 0);
                var shards = Shards.of(weights, new Shards.Ranks(new SoloGroup(), group));
                steps(weights, new AdamW(shards, SLOW, StateType.bf16(3)), 1f, 1e-3f, 1);
                ranks.set(
                        group.rank(),
                        Map.of("w", slice.value().toFloats(), "b", copy.value().toFloats()));
            }
        });
        float[] a = ranks.get(0).get("w");
        float[] b = ranks.get(1).get("w");
        assertArrayEquals(ranks.get(0).get("b"), ranks.get(1).get("b"));
        // each element moves by a unit with a chance of 0.256
        int same = 0;
        for (int i = 0; i < a.length; i++) {
            same += a[i] == b[i] ? 1 : 0;
        }
        double chance = 0.256 * 0.256 + 0.744 * 0.744;
        assertEquals(chance, (double) same / a.length, 5 * Math.sqrt(chance * (1 - chance) / a.length));
    }

    @Test
    void otherTypesAreRefused() {
        try (Session _ = Session.open("cpu")) {
            Weights weights = new Weights();
            weights.declare("w", Shape.of(3), Init.ZEROS);
            weights.allocate(DType.F32, DType.F32, 0);
            Shards shards = Shards.of(weights, Shards.Ranks.ONE);
            assertEquals(
                    "optimizer: state in BF16 is rounded into weights in BF16; these are F32: allocate them in BF16, or"
                            + " keep the state in F32",
                    assertThrows(IllegalArgumentException.class, () -> new Sgd(shards, 0.9f, 0f, 0f, StateType.bf16(0)))
                            .getMessage());
            assertEquals(
                    "optimizer: state cannot be F16; expected F32 or BF16",
                    assertThrows(IllegalArgumentException.class, () -> new StateType(DType.F16, 0))
                            .getMessage());
        }
    }
}
