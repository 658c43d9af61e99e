package io.jacquard.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.jacquard.ops.Ops;
import io.jacquard.ops.Recipe;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// A layer that has its input to itself.
final class LinearTest {
    private static final int N = 48;
    private static final int WIDTH = 64;

    /// What one pass leaves: the result, and the gradients of what comes before the layer and of its weight.
    private record Pass(float[] y, float[] dx, float[] weights) {}

    private static Pass pass(Recipe recipe, boolean consumes, boolean inTwoParts) {
        Weights weights =
                new Weights(1, new Precision(recipe, 0)).block("block").layer(0, 1);
        Linear layer = Linear.withBias(weights.in("layer"), WIDTH, WIDTH, 0.1);
        weights.allocate(DType.F32, DType.F32, 3);
        Tensor before = Tensor.empty(Shape.of(N, WIDTH), DType.F32);
        before.kernels().random(before, 1f, 7, 0);
        Tensor leaf = before.leaf();
        try (Scope step = Scope.open("step")) {
            long start = step.ownedBytes();
            Tensor x = Ops.gelu(leaf);
            Tensor y = consumes ? layer.consume(x) : layer.apply(x);
            assertRead(recipe, x, consumes);
            float[] out = y.toFloats();
            Tensor dy = Ops.scale(before, 0.01f);
            Tensor dx;
            if (inTwoParts) {
                Gradients.Split split = Gradients.split(y, dy, leaf);
                split.weights();
                dx = split.wanted().getFirst();
            } else {
                dx = Gradients.of(y, dy, leaf).getFirst();
            }
            assertEquals(start + y.bytes() + dy.bytes() + dx.bytes(), step.ownedBytes());
            return new Pass(out, dx.toFloats(), weights.gradients().toFloats());
        }
    }

    private static void assertRead(Recipe recipe, Tensor x, boolean consumes) {
        if (!consumes || recipe.keepsInput()) {
            assertEquals(N * WIDTH, x.toFloats().length);
            return;
        }
        assertEquals(
                "tensor used after free: [48, 64] F32 was freed by the linear layer that had it to itself: recipe "
                        + recipe.label(),
                assertThrows(IllegalStateException.class, x::toFloats).getMessage());
    }

    @ParameterizedTest
    @EnumSource(value = Recipe.class, names = "INT4_GROUP", mode = EnumSource.Mode.EXCLUDE)
    void gradientsDoNotNeedWhatWasConsumed(Recipe recipe) {
        try (Session _ = Session.open("cpu")) {
            Pass kept = pass(recipe, false, false);
            for (boolean inTwoParts : new boolean[] {false, true}) {
                Pass consumed = pass(recipe, true, inTwoParts);
                assertArrayEquals(kept.y, consumed.y);
                assertArrayEquals(kept.dx, consumed.dx);
                assertArrayEquals(kept.weights, consumed.weights);
            }
        }
    }
}
