package io.jacquard.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.nn.ScaledTraining.Run;
import io.jacquard.ops.DelayedScales;
import io.jacquard.ops.Ops;
import io.jacquard.ops.Reader;
import io.jacquard.ops.Recipe;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.CountedLaunches;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Norms and activations that round their result for the linear layer that reads it.
final class FusedCastsTest {
    private Session session;

    @BeforeEach
    void open() {
        session = Session.open("cpu");
    }

    @AfterEach
    void close() {
        session.close();
    }

    static Stream<Run> runs() {
        return Stream.of("gpt2", "llama")
                .flatMap(model -> Stream.of(Recipe.FP8_DELAYED, Recipe.FP8_CURRENT)
                        .flatMap(recipe -> Stream.of(DType.F32, DType.BF16)
                                .flatMap(dtype -> Stream.of(false, true)
                                        .map(recompute -> new Run(model, recipe, dtype, recompute)))));
    }

    @ParameterizedTest
    @MethodSource("runs")
    void trainTheSameBits(Run run) {
        CountedLaunches launches = new CountedLaunches();
        try (Session counted = launches.over(session)) {
            float[][] fused = ScaledTraining.train(counted, run, true);
            int passes = launches.take("absMax");
            float[][] apart = ScaledTraining.train(counted, run, false);
            for (int i = 0; i < fused.length; i++) {
                assertArrayEquals(apart[i], fused[i]);
            }
            assertEquals(ScaledTraining.savedPasses(run), launches.take("absMax") - passes, "passes that fusing saves");
            assertTrue(fused[0][2] < fused[0][0], "nothing was learnt");
        }
    }

    /// With scales of steps before, the normed value itself has no memory; without, the layer reads it once.
    @Test
    void nothingIsWrittenThatNobodyReads() {
        DelayedScales scales = new DelayedScales();
        DelayedScales.Layer layer = scales.layer("a layer");
        scales.allocate();
        Tensor weight = Tensor.zeros(Shape.of(64, 64), DType.BF16).leaf();
        Tensor row = Tensor.zeros(Shape.of(64), DType.BF16);
        Tensor x = Tensor.zeros(Shape.of(64, 64), DType.BF16);
        Reader reader = new Reader(Recipe.FP8_DELAYED, layer, weight);
        long statistics = 256; // F32 of each row
        try (Scope first = Scope.open("first step")) {
            Ops.rmsNorm(x, null, row, 1e-5f, reader);
            assertEquals(2 * 64 * 64 + statistics, first.ownedBytes());
        }
        scales.step();
        try (Scope second = Scope.open("second step")) {
            Tensor y = Ops.rmsNorm(x, null, row, 1e-5f, reader).value();
            assertEquals(2 * 64 * 64 + statistics, second.ownedBytes(), "two copies");
            assertEquals(
                    "tensor used after free: [64, 64] BF16 exists only in low precision, as the linear layer it was"
                            + " made for reads it",
                    assertThrows(IllegalStateException.class, y::toFloats).getMessage());
            Ops.linear(y, weight, null, false, Recipe.FP8_DELAYED, layer);
            assertEquals(64 * 64 + statistics + 2 * 64 * 64, second.ownedBytes(), "one of them, and the result");
        }
        try (Scope without = Scope.openWithoutGrad("evaluation")) {
            Ops.rmsNorm(x, null, row, 1e-5f, reader);
            assertEquals(64 * 64 + statistics, without.ownedBytes(), "one copy");
        }
    }

    /// Copies are of use to one layer only.
    @Test
    void anotherLayerIsRefused() {
        DelayedScales scales = new DelayedScales();
        List<DelayedScales.Layer> layers = List.of(scales.layer("one"), scales.layer("another"));
        scales.allocate();
        scales.step();
        Tensor weight = Tensor.zeros(Shape.of(64, 64), DType.BF16);
        Tensor y = Ops.swiGlu(
                Tensor.zeros(Shape.of(2, 128), DType.BF16), new Reader(Recipe.FP8_DELAYED, layers.get(0), weight));
        assertEquals(
                "tensor used after free: [2, 64] BF16 exists only in low precision, as the linear layer it was made"
                        + " for reads it",
                assertThrows(
                                IllegalStateException.class,
                                () -> Ops.linear(y, weight, null, false, Recipe.FP8_DELAYED, layers.get(1)))
                        .getMessage());
    }
}
