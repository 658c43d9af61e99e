package io.jacquard.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.Objects;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

final class LayerNormTest {
    private static final int ROWS = 5;
    private static final int WIDTH = 33;

    /// The gradient of one of weight and bias is the same whether the other one is wanted or not, also where
    /// gradients have another dtype than the weights.
    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F32", "BF16"})
    void oneOfTheWeightsMayBeFixed(DType gradients) {
        try (Session session = Session.open("cpu")) {
            float[][] both = gradients(gradients, true, true);
            float[][] weight = gradients(gradients, true, false);
            float[][] bias = gradients(gradients, false, true);
            assertArrayEquals(both[0], weight[0]);
            assertArrayEquals(both[1], bias[1]);
            assertArrayEquals(both[2], weight[2]);
            assertArrayEquals(both[2], bias[2]);
            assertEquals(0, session.usedBytes());
        }
    }

    /// Of weight, bias and input, the weights in BF16 with gradients of `dtype`.
    private static float[][] gradients(DType dtype, boolean wantWeight, boolean wantBias) {
        try (var _ = Scope.open("case")) {
            Tensor x = random(1, ROWS, WIDTH).leaf();
            Tensor weight = random(2, WIDTH);
            Tensor bias = random(3, WIDTH);
            Tensor dWeight = Tensor.zeros(weight.shape(), dtype);
            Tensor dBias = Tensor.zeros(bias.shape(), dtype);
            Tensor y = Ops.layerNorm(
                            x,
                            null,
                            wantWeight ? weight.leaf(dWeight, "weight") : weight,
                            wantBias ? bias.leaf(dBias, "bias") : bias,
                            1e-5f)
                    .value();
            Tensor dx = Objects.requireNonNull(
                    Gradients.of(y, random(4, ROWS, WIDTH), x).getFirst());
            return new float[][] {dWeight.toFloats(), dBias.toFloats(), dx.toFloats()};
        }
    }

    private static Tensor random(int seed, int... dims) {
        Shape shape = Shape.of(dims);
        float[] values = new float[(int) shape.elements()];
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return Ops.cast(Tensor.of(shape, values), DType.BF16);
    }
}
