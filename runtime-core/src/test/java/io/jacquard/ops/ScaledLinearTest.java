package io.jacquard.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.group.LocalGroup;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Scaled;
import io.jacquard.tensor.spi.Scaled.Blocks;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntToDoubleFunction;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/// Linear layers in low precision, against double-precision products of operands that are rounded one by one: what the
/// rounding itself does is the contract's business.
final class ScaledLinearTest {
    private static final int N = 40;
    private static final int I = 136;
    private static final int O = 72;

    private final SplittableRandom random = new SplittableRandom(7);
    private Session session;

    @BeforeEach
    void open() {
        session = Session.open("cpu");
    }

    @AfterEach
    void close() {
        session.close();
    }

    private Tensor random(double deviation, int... dims) {
        Shape shape = Shape.of(dims);
        float[] values = new float[(int) shape.elements()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (deviation * random.nextGaussian());
        }
        return Tensor.of(shape, values);
    }

    /// Row-major.
    private record Matrix(int rows, int columns, double[] values) {
        static Matrix of(Tensor t) {
            float[] f = t.detach().toFloats();
            return of((int) t.shape().rows(), t.shape().last(), i -> f[i]);
        }

        static Matrix of(int rows, int columns, IntToDoubleFunction values) {
            double[] v = new double[rows * columns];
            java.util.Arrays.setAll(v, values);
            return new Matrix(rows, columns, v);
        }

        Matrix transposed() {
            return of(columns, rows, i -> values[i % rows * columns + i / rows]);
        }

        /// `this · otherᵀ`.
        Matrix times(Matrix other) {
            return of(rows, other.rows, i -> {
                double sum = 0;
                for (int k = 0; k < columns; k++) {
                    sum += values[i / other.rows * columns + k] * other.values[i % other.rows * columns + k];
                }
                return sum;
            });
        }
    }

    /// `x` rounded to `type` with the scales of `blocks`, that of a whole matrix being `scale`, or its own if null.
    private static Matrix rounded(Matrix x, DType type, Blocks blocks, @Nullable Double scale) {
        try (var _ = Scope.openWithoutGrad("rounded")) {
            float[] floats = new float[x.values.length];
            for (int i = 0; i < floats.length; i++) {
                floats[i] = (float) x.values[i];
            }
            Tensor t = Tensor.of(Shape.of(x.rows, x.columns), floats);
            Scaled q = Scaled.empty(x.rows, x.columns, type, blocks);
            if (scale != null) {
                q.scales().copyFrom(new float[] {scale.floatValue()});
            } else if (blocks.isWhole()) {
                t.kernels().absMax(q.scales(), t, 0f);
                t.kernels().scaleOf(q.scales(), q.scales(), type);
            }
            t.kernels().quantize(q, null, t);
            t.kernels().dequantize(t, q);
            return Matrix.of(t);
        }
    }

    private static void assertNear(Matrix expected, Tensor got) {
        double largest = 0;
        for (double v : expected.values) {
            largest = Math.max(largest, Math.abs(v));
        }
        Matrix g = Matrix.of(got);
        for (int i = 0; i < g.values.length; i++) {
            assertEquals(expected.values[i], g.values[i], 2e-6 * largest, "element " + i);
        }
    }

    /// Delayed scales of one layer.
    private record Delayed(DelayedScales scales, DelayedScales.Layer layer) {
        static Delayed ofALayer() {
            DelayedScales scales = new DelayedScales();
            DelayedScales.Layer layer = scales.layer("a layer");
            scales.allocate();
            return new Delayed(scales, layer);
        }
    }

    private static DelayedScales.@Nullable Layer layer(Recipe recipe) {
        return recipe.isDelayed() ? Delayed.ofALayer().layer : null;
    }

    @ParameterizedTest
    @EnumSource(
            value = Recipe.class,
            names = {"DTYPE", "INT4_GROUP", "INT4_QAT"},
            mode = EnumSource.Mode.EXCLUDE)
    void multipliesRoundedOperands(Recipe recipe) {
        Tensor x = random(1, 2, N / 2, I).leaf();
        Tensor w = random(0.1, O, I);
        Tensor dw = Tensor.zeros(w.shape(), DType.F32);
        Tensor bias = random(1, O).leaf();
        Tensor dy = random(1e-3, 2, N / 2, O);
        Tensor weight = w.leaf(dw, "weight");

        Tensor y = Ops.linear(x, weight, bias, false, recipe, layer(recipe));
        List<@Nullable Tensor> gradients = Gradients.of(y, dy, x, bias);

        DType f = recipe.forward();
        DType g = recipe.gradient();
        Blocks rows = recipe.activations();
        Matrix xm = Matrix.of(x);
        Matrix wm = Matrix.of(w);
        Matrix dm = Matrix.of(dy);
        Matrix exact = rounded(xm, f, rows, null).times(rounded(wm, f, recipe.weights(), null));
        float[] b = bias.detach().toFloats();
        assertNear(Matrix.of(N, O, i -> exact.values[i] + b[i % O]), y);
        Matrix wt = rounded(wm.transposed(), f, recipe.weights(), null);
        assertNear(rounded(dm, g, rows, null).times(wt), gradients.get(0));
        Matrix dwm = recipe == Recipe.INT8
                ? dm.transposed().times(xm.transposed())
                : rounded(dm.transposed(), g, rows, null).times(rounded(xm.transposed(), f, rows, null));
        assertNear(dwm, dw);
        assertNear(Matrix.of(1, N, _ -> 1).times(dm.transposed()), gradients.get(1));
    }

    @ParameterizedTest
    @EnumSource(
            value = Recipe.class,
            names = {"DTYPE", "INT4_GROUP", "INT4_QAT"},
            mode = EnumSource.Mode.EXCLUDE)
    void geluAndGradientsThatArePutOffAreTheSameBits(Recipe recipe) {
        Tensor x = random(1, N, I);
        Tensor w = random(0.1, O, I);
        Tensor bias = random(1, O);
        Tensor dy = random(1, N, O);
        float[][] results = new float[3][];
        for (int way = 0; way < 3; way++) {
            try (var _ = Scope.open("way " + way)) {
                Tensor dw = Tensor.zeros(w.shape(), DType.F32);
                Tensor weight = w.leaf(dw, "weight");
                Tensor leaf = x.leaf();
                DelayedScales.Layer layer = layer(recipe);
                Tensor y = way == 0
                        ? Ops.gelu(Ops.linear(leaf, weight, bias, false, recipe, layer))
                        : Ops.linear(leaf, weight, bias, true, recipe, layer);
                float[] out = y.toFloats();
                Tensor dx;
                if (way == 2) {
                    Gradients.Split split = Gradients.split(y, dy, leaf);
                    assertArrayEquals(new float[O * I], dw.toFloats());
                    split.weights();
                    dx = split.wanted().getFirst();
                } else {
                    dx = Gradients.of(y, dy, leaf).getFirst();
                }
                results[way] = concat(out, dx.toFloats(), dw.toFloats());
            }
        }
        assertArrayEquals(results[0], results[1]);
        assertArrayEquals(results[0], results[2]);
    }

    private static float[] concat(float[]... parts) {
        int n = 0;
        for (float[] p : parts) {
            n += p.length;
        }
        float[] all = new float[n];
        n = 0;
        for (float[] p : parts) {
            System.arraycopy(p, 0, all, n, p.length);
            n += p.length;
        }
        return all;
    }

    @Test
    void backwardFreesItsCopies() {
        Tensor w = random(0.1, O, I);
        Tensor dw = Tensor.zeros(w.shape(), DType.F32);
        Tensor x = random(1, N, I).leaf();
        Tensor dy = random(1, N, O);
        long before = session.usedBytes();
        try (var _ = Scope.open("step")) {
            Tensor y = Ops.linear(x, w.leaf(dw, "weight"), null, false, Recipe.FP8_CURRENT, null);
            Tensor dx = Gradients.of(y, dy, x).getFirst();
            long left = session.usedBytes() - before;
            assertTrue(left < y.bytes() + dx.bytes() + 4096, left + " bytes are left");
        }
    }

    @Test
    void delayedScalesAreThoseOfTheLastSteps() {
        Delayed delayed = Delayed.ofALayer();
        Tensor w = random(0.1, O, I);
        double[] amaxes = {0, 0};
        for (int step = 0; step < 3; step++) {
            Tensor x = random(step == 0 ? 2 : 0.5, N, I);
            Tensor y = Ops.linear(x.leaf(), w, null, false, Recipe.FP8_DELAYED, delayed.layer);
            // the first step's own scale, which is the largest of the history afterwards
            amaxes[0] = Math.max(amaxes[0], largest(x));
            Double scale = (double) ((float) amaxes[0] / 448f);
            Matrix q = rounded(Matrix.of(x), DType.F8E4M3, Blocks.WHOLE, scale);
            assertNear(q.times(rounded(Matrix.of(w), DType.F8E4M3, Blocks.WHOLE, null)), y);
            delayed.scales.step();
        }
    }

    /// Of a pipeline, several micro-batches are between forward and backward, and weights' gradients come later
    /// still.
    @Test
    void inTheFirstStepEachTensorHasItsOwnScale() {
        Tensor w = random(0.1, O, I);
        Tensor small = random(1, N, I);
        Tensor large = random(20, N, I);
        Tensor dy = random(1e-3, N, O);
        Tensor larger = random(1, N, O);
        float[][] results = new float[2][];
        for (Recipe recipe : List.of(Recipe.FP8_CURRENT, Recipe.FP8_DELAYED)) {
            DelayedScales.Layer layer = layer(recipe);
            Tensor dw = Tensor.zeros(w.shape(), DType.F32);
            Tensor weight = w.leaf(dw, "weight");
            Tensor a = small.leaf();
            Tensor b = large.leaf();
            float[] evaluated = Ops.linear(small, w, null, false, recipe, layer).toFloats();
            Tensor first = Ops.linear(a, weight, null, false, recipe, layer);
            Tensor second = Ops.linear(b, weight, null, false, recipe, layer);
            Gradients.Split split = Gradients.split(first, dy, a);
            Tensor db = Gradients.of(second, larger, b).getFirst();
            split.weights();
            Tensor da = split.wanted().getFirst();
            results[recipe == Recipe.FP8_CURRENT ? 0 : 1] =
                    concat(evaluated, first.toFloats(), second.toFloats(), da.toFloats(), db.toFloats(), dw.toFloats());
        }
        assertArrayEquals(results[0], results[1]);
    }

    @ParameterizedTest
    @CsvSource({"2, 1", "1, 3", "2, 2"})
    void ranksHaveTheScaleOfTheLargestAmongThem(int inner, int outer) {
        double[] sizes = {1, 8, 2, 4};
        float[][] saved = new float[inner * outer][];
        LocalGroup.run(inner * outer, world -> {
            int rank = world.rank();
            try (Session _ = Session.open("cpu");
                    var _ = Scope.open("rank")) {
                DelayedScales scales = new DelayedScales();
                DelayedScales.Layer layer = scales.layer("a layer");
                scales.layer("an unused layer");
                scales.allocate(List.of(world.split(rank / inner), world.split(rank % inner)));
                Tensor w = all(0.5, O, I);
                for (int step = 0; step < 2; step++) {
                    Tensor x = all(sizes[(rank + step) % 4], N, I);
                    Ops.linear(x.leaf(), w, null, false, Recipe.FP8_DELAYED, layer);
                    scales.step();
                }
                saved[rank] = scales.saved().get("a layer");
            }
        });
        for (int rank = 0; rank < saved.length; rank++) {
            double before = 0;
            double now = 0;
            for (int r = 0; r < saved.length; r++) {
                before = Math.max(before, sizes[r]);
                now = Math.max(now, sizes[(r + 1) % 4]);
            }
            assertEquals((float) (Math.max(before, now) / 448), saved[rank][0]);
            assertEquals((float) (0.5 / 448), saved[rank][1]);
            assertEquals((float) now, saved[rank][3]); // after the scales of input, weight and gradient
            assertEquals((float) before, saved[rank][4]);
            assertArrayEquals(saved[0], saved[rank]);
        }
    }

    private static Tensor all(double value, int... dims) {
        Tensor t = Tensor.empty(Shape.of(dims), DType.F32);
        t.kernels().fill(t, (float) value);
        return t;
    }

    private static float largest(Tensor x) {
        float largest = 0;
        for (float v : x.toFloats()) {
            largest = Math.max(largest, Math.abs(v));
        }
        return largest;
    }

    @Test
    void savedScalesGoOn() {
        Delayed delayed = Delayed.ofALayer();
        Tensor w = random(0.1, O, I);
        Tensor x = random(1, N, I);
        Tensor larger = random(3, N, I);
        Ops.linear(x.leaf(), w, null, false, Recipe.FP8_DELAYED, delayed.layer);
        delayed.scales.step();
        Delayed again = Delayed.ofALayer();
        var saved = delayed.scales.saved();
        again.scales.load(saved::get);
        assertArrayEquals(
                Ops.linear(larger, w, null, false, Recipe.FP8_DELAYED, delayed.layer)
                        .toFloats(),
                Ops.linear(larger, w, null, false, Recipe.FP8_DELAYED, again.layer)
                        .toFloats());
        assertEquals(List.of("a layer"), List.copyOf(saved.keySet()));
        assertEquals(DelayedScales.SAVED, saved.get("a layer").length);
    }

    @Test
    void evaluationLeavesDelayedScalesAlone() {
        Delayed delayed = Delayed.ofALayer();
        Tensor w = random(0.1, O, I);
        Tensor x = random(1, N, I);
        Ops.linear(x.leaf(), w, null, false, Recipe.FP8_DELAYED, delayed.layer);
        delayed.scales.step();
        float[] before = delayed.scales.saved().get("a layer");
        Ops.linear(random(100, N, I), w, null, false, Recipe.FP8_DELAYED, delayed.layer);
        delayed.scales.step();
        assertEquals(before[0], delayed.scales.saved().get("a layer")[0]);
    }

    @Test
    void fakeQuantizeRoundsAndLetsTheGradientThrough() {
        Tensor w = random(0.1, O, I);
        Tensor leaf = w.leaf();
        Tensor dy = random(1, O, I);
        Tensor y = Ops.fakeQuantize(leaf, DType.I4, Blocks.groups(32));
        assertNear(rounded(Matrix.of(w), DType.I4, Blocks.groups(32), null), y);
        assertArrayEquals(dy.toFloats(), Gradients.of(y, dy, leaf).getFirst().toFloats());
    }

    @Test
    void frozenLinearMultipliesAndSendsTheGradientOn() {
        Tensor w = random(0.1, O, I);
        Scaled q = Scaled.empty(O, I, DType.I4, Blocks.groups(32));
        w.kernels().quantize(q, null, w);
        Tensor x = random(1, N, I).leaf();
        Tensor bias = random(1, O).leaf();
        Tensor dy = random(1, N, O);
        Tensor y = Ops.frozenLinear(x, q, bias);
        List<@Nullable Tensor> gradients = Gradients.of(y, dy, x, bias);
        Matrix wm = rounded(Matrix.of(w), DType.I4, Blocks.groups(32), null);
        Matrix product = Matrix.of(x).times(wm);
        float[] b = bias.detach().toFloats();
        assertNear(Matrix.of(N, O, i -> product.values[i] + b[i % O]), y);
        assertNear(Matrix.of(dy).times(wm.transposed()), gradients.get(0));
        assertNear(Matrix.of(1, N, _ -> 1).times(Matrix.of(dy).transposed()), gradients.get(1));
    }

    @Test
    void messages() {
        Tensor x = random(1, N, I);
        Tensor w = random(1, O, I);
        assertEquals(
                "linear: recipe fp8-delayed needs delayed scales",
                message(() -> Ops.linear(x, w, null, false, Recipe.FP8_DELAYED, null)));
        assertEquals(
                "linear: recipe int8 has no use for delayed scales",
                message(() -> Ops.linear(x, w, null, false, Recipe.INT8, layer(Recipe.FP8_DELAYED))));
        assertEquals(
                "linear: recipe int4-qat is not a scaled one; use linear, fakeQuantize or frozenLinear",
                message(() -> Ops.linear(x, w, null, false, Recipe.INT4_QAT, null)));
        assertEquals(
                "fakeQuantize: rows of [2, 3] F32 are of an odd number of elements, of which I4 packs two to a byte;"
                        + " expected an even number",
                message(() -> Ops.fakeQuantize(random(1, 2, 3), DType.I4, Blocks.ROWS)));
        assertEquals(
                "fakeQuantize: [72, 136] F32 to I8 with one scale; expected F8E4M3, F8E5M2, I8 or I4, with scales of"
                        + " rows or of parts of them",
                message(() -> Ops.fakeQuantize(w, DType.I8, Blocks.WHOLE)));
        assertEquals(
                "fakeQuantize: [72, 136] F32 to BF16; expected F8E4M3, F8E5M2, I8 or I4, with scales of rows or of"
                        + " parts of them",
                message(() -> Ops.fakeQuantize(w, DType.BF16, Blocks.ROWS)));
        Scaled floats = Scaled.empty(O, I, DType.F8E4M3, Blocks.ROWS);
        assertEquals(
                "frozenLinear: weight=[72, 136] F8E4M3 in Blocks[rows=1, columns=2147483647]; expected I4 or I8 in"
                        + " groups of a row",
                message(() -> Ops.frozenLinear(x, floats, null)));
        Scaled q = Scaled.empty(O, 64, DType.I4, Blocks.ROWS);
        assertEquals(
                "frozenLinear: inner dimensions differ: x=[40, 136], weight=[72, 64] transposed (136 != 64)",
                message(() -> Ops.frozenLinear(x, q, null)));
        DelayedScales scales = new DelayedScales();
        DelayedScales.Layer early = scales.layer("early");
        assertEquals(
                "delayed scales: no memory yet; call allocate() after building the model",
                assertThrows(
                                IllegalStateException.class,
                                () -> Ops.linear(x, w, null, false, Recipe.FP8_DELAYED, early))
                        .getMessage());
        scales.allocate();
        assertEquals(
                "delayed scales: layer 'late' is declared after allocate()",
                assertThrows(IllegalStateException.class, () -> scales.layer("late"))
                        .getMessage());
    }

    private static String message(Runnable call) {
        return assertThrows(IllegalArgumentException.class, call::run).getMessage();
    }
}
