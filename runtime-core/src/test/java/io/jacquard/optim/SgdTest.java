package io.jacquard.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.jacquard.nn.Init;
import io.jacquard.nn.Parameter;
import io.jacquard.nn.Weights;
import io.jacquard.ops.Ops;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Four steps on `sum(w²)/2 + sum(b³)/3` against PyTorch 2.13's `SGD(momentum=0.9)` in double. With weight decay,
/// PyTorch's matrix was multiplied by `1 - rate * 0.25` before each step: its own `weight_decay` is something else.
final class SgdTest {
    private static final float[] RATES = {0.125f, 0.25f, 0.0625f, 0.5f};
    private static final double[] BIAS = {-0.4793256211206674, -47.01838790059091};
    private static final double[] PLAIN = {
        -0.38035546875, 0.950888671875, -1.521421875, -2.2821328125, -0.0950888671875, 0.570533203125
    };
    private static final double[] DECAYED = {
        -0.3900172576904297,
        0.9750431442260743,
        -1.5600690307617189,
        -2.340103546142578,
        -0.09750431442260743,
        0.5850258865356445
    };

    @ParameterizedTest
    @ValueSource(floats = {0f, 0.25f})
    void agreesWithPyTorch(float weightDecay) {
        try (Session _ = Session.open("cpu")) {
            Weights weights = new Weights();
            Parameter w = weights.declare("w", Shape.of(2, 3), Init.ZEROS);
            Parameter b = weights.declare("b", Shape.of(2), Init.ZEROS);
            weights.allocate(DType.F32, DType.F32, 0);
            w.value().copyFrom(new float[] {0.5f, -1.25f, 2f, 3f, 0.125f, -0.75f});
            b.value().copyFrom(new float[] {1f, -2f});
            Sgd optimizer = new Sgd(weights, 0.9f, weightDecay, 0f);
            for (float rate : RATES) {
                try (var _ = Scope.open("step")) {
                    Tensor half = Ops.scale(Ops.sum(Ops.mul(w.value(), w.value())), 0.5f);
                    Tensor cubes = Ops.mul(b.value(), Ops.mul(b.value(), b.value()));
                    Ops.add(half, Ops.scale(Ops.sum(cubes), 1f / 3)).backward();
                    optimizer.step(Tensor.of(Shape.of(1), rate));
                }
            }
            near(weightDecay == 0f ? PLAIN : DECAYED, w.value().toFloats());
            near(BIAS, b.value().toFloats());
        }
    }

    /// Four steps of a handful of roundings each, which cubes triple and momentum carries on.
    private static void near(double[] expected, float[] got) {
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], got[i], 32 * Math.ulp((float) expected[i]), "element " + i);
        }
    }
}
