package io.jacquard.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.jacquard.ops.Ops;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import org.junit.jupiter.api.Test;

/// What every operation is tested for: values, gradient, checks, memory.
final class SquareTest {
    private static final float[] X = {-1.5f, -0.25f, 0f, 0.5f, 2f};
    private static final float[] WEIGHTS = {1f, -2f, 0.5f, 3f, -1f}; // different, so that no two gradients are the same
    private static final double STEP = 0x1p-7;

    /// `sum(weights * f(x))`, f(x) = x * x + x: x has two readers, so one of them adds to the gradient.
    private static Tensor objective(Tensor x) {
        Tensor y = Ops.add(Square.of(x), x);
        return Ops.sum(Ops.mul(y, Tensor.of(x.shape(), WEIGHTS)));
    }

    private static float objective(float[] x) {
        try (var _ = Scope.openWithoutGrad("difference")) {
            return objective(Tensor.of(Shape.of(x.length), x)).item();
        }
    }

    /// Central differences: the error of the quotient is the rounding of two F32 results, divided by the step.
    @Test
    void gradientAgreesWithDifferences() {
        try (Session session = Session.open("cpu")) {
            try (var _ = Scope.open("check")) {
                Tensor x = Tensor.of(Shape.of(X.length), X).leaf();
                float[] dx = Gradients.of(objective(x), null, x).getFirst().toFloats();
                for (int i = 0; i < X.length; i++) {
                    float[] up = X.clone();
                    float[] down = X.clone();
                    up[i] += (float) STEP;
                    down[i] -= (float) STEP;
                    double expected = ((double) objective(up) - objective(down)) / (2 * STEP);
                    double rounding = 4 * Math.ulp(16f) / STEP; // no term of the sum is above 16
                    assertEquals(expected, dx[i], rounding, "element " + i);
                }
            }
            assertEquals(0, session.usedBytes(), "a tensor outlived its scope");
        }
    }

    @Test
    void refusesIntegers() {
        try (Session _ = Session.open("cpu")) {
            Tensor ids = Tensor.zeros(Shape.of(2), DType.I32);
            Exception e = assertThrows(IllegalArgumentException.class, () -> Square.of(ids));
            assertEquals("square: [2] I32 is not of a floating dtype; cast it first", e.getMessage());
        }
    }
}
