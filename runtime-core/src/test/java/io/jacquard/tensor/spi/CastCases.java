package io.jacquard.tensor.spi;

import static io.jacquard.tensor.spi.MovingCases.FLOATS;
import static io.jacquard.tensor.spi.Trial.normal;
import static io.jacquard.tensor.spi.Trial.values;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Scaled.Blocks;
import io.jacquard.tensor.spi.Trial.Content;
import io.jacquard.tensor.spi.Trial.Operand;
import io.jacquard.tensor.spi.Trial.Table;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// [Casts] that kernels make of their results: to the bit what the elements of the result become by themselves.
final class CastCases {
    static final String NAME = "cast ";

    /// Rows and columns. Around a tile of either kernel; the last is what runs off alignment.
    private static final int[][] SHAPES = {{1, 2}, {7, 33}, {33, 130}, {128, 128}, {300, 64}, {70, 264}};

    /// Rows of several warps, of which a block has a fraction left; and wider than a block's registers.
    private static final int[][] WIDE = {{3, 3000}, {35, 768}, {2, 10248}};

    private static final float EPSILON = 1e-5f;

    private CastCases() {}

    /// What is wanted beside the largest magnitude.
    private enum Wanted {
        NOTHING(true, false, false),
        STRAIGHT(false, true, false),
        TRANSPOSED(false, false, true),
        COPIES(false, true, true),
        ALL(true, true, true);

        final boolean result;
        final boolean straight;
        final boolean transposed;

        Wanted(boolean result, boolean straight, boolean transposed) {
            this.result = result;
            this.straight = straight;
            this.transposed = transposed;
        }
    }

    private interface Call {
        void run(Kernels kernels, @Nullable Tensor out, Casts casts);
    }

    /// A kernel with its operands, and what it gives.
    private record Kernel(Call call, Function<Arithmetic, double[]> formula) {}

    private interface Maker {
        Kernel of(Trial t, DType dtype, int n, int c);
    }

    static void into(Table table) {
        for (DType dtype : FLOATS) {
            for (int[] s : dtype == DType.BF16 ? SHAPES : new int[][] {SHAPES[2], SHAPES[5]}) {
                each(table, dtype, s[0], s[1], Wanted.COPIES, DType.F8E4M3);
            }
            for (Wanted wanted : Wanted.values()) {
                each(table, dtype, 33, 72, wanted, DType.F8E5M2);
            }
            for (int[] s : WIDE) {
                norms(table, dtype, s[0], s[1], Wanted.ALL, DType.F8E4M3);
            }
            for (double bad : new double[] {Double.POSITIVE_INFINITY, Double.NaN}) {
                Content content = (r, i) -> i == 300 ? bad : r.nextGaussian();
                String name = NAME + "special: " + bad + " among " + dtype;
                add(
                        table,
                        "gelu",
                        name,
                        dtype,
                        7,
                        64,
                        Wanted.ALL,
                        DType.F8E4M3,
                        (t, d, n, c) -> gelu(t, d, n, c, content));
            }
            each(table, dtype, 0, 33, Wanted.ALL, DType.F8E4M3);
        }
        for (DType dtype : FLOATS) {
            each(table, dtype, SHAPES[5][0], SHAPES[5][1], Wanted.ALL, DType.F8E4M3);
        }
    }

    private static void each(Table table, DType dtype, int n, int c, Wanted wanted, DType type) {
        String name = name(dtype, n, c, wanted, type);
        add(
                table,
                "gelu",
                name,
                dtype,
                n,
                c,
                wanted,
                type,
                (t, d, rows, columns) -> gelu(t, d, rows, columns, normal(3)));
        add(table, "swiGlu", name, dtype, n, c, wanted, type, CastCases::swiGlu);
        if (wanted.result) {
            add(table, "geluGrad", name, dtype, n, c, wanted, type, CastCases::geluGrad);
        }
        norms(table, dtype, n, c, wanted, type);
    }

    private static void norms(Table table, DType dtype, int n, int c, Wanted wanted, DType type) {
        String name = name(dtype, n, c, wanted, type);
        add(table, "layerNorm", name, dtype, n, c, wanted, type, CastCases::layerNorm);
        add(table, "rmsNorm", name, dtype, n, c, wanted, type, CastCases::rmsNorm);
    }

    private static String name(DType dtype, int n, int c, Wanted wanted, DType type) {
        return NAME + n + "x" + c + " " + dtype + " to " + type + ", " + wanted;
    }

    private static void add(
            Table table,
            String method,
            String name,
            DType dtype,
            int n,
            int c,
            Wanted wanted,
            DType type,
            Maker maker) {
        table.add(method, name, t -> {
            Kernel kernel = maker.of(t, dtype, n, c);
            Operand out = t.out("out", dtype, n, c);
            Operand scale = t.in("scale", DType.F32, values(2.2 / type.largest()), 1, 1); // some are too large
            Operand straight = wanted.straight ? t.out("straight", type, n, c) : null;
            Operand transposed = wanted.transposed ? t.out("transposed", type, c, n) : null;
            Operand amax = t.in("amax", DType.F32, values(0.25), 1);
            t.run(k -> {
                if (!wanted.result) {
                    kernel.call.run(k, out.tensor(), Casts.NONE); // what the copies are of
                }
                kernel.call.run(
                        k,
                        wanted.result ? out.tensor() : null,
                        new Casts(scaled(straight, scale), scaled(transposed, scale), amax.tensor()));
            });
            t.expect(out, kernel.formula);
            expectCopy(t, straight, scale, out, i -> i);
            expectCopy(t, transposed, scale, out, i -> i % n * c + i / n);
            t.expectThat(amax, got -> assertEquals(largest(out.got()), got[0], "amax"));
        });
    }

    private static @Nullable Scaled scaled(@Nullable Operand values, Operand scale) {
        return values == null ? null : new Scaled(values.tensor(), scale.tensor(), Blocks.WHOLE);
    }

    /// Element i of the copy is element `place(i)` of the result.
    private static void expectCopy(
            Trial t, @Nullable Operand copy, Operand scale, Operand out, java.util.function.IntUnaryOperator place) {
        if (copy == null) {
            return;
        }
        float inverse = 1f / (float) scale.initial()[0];
        t.expectThat(copy, got -> {
            double[] result = out.got();
            for (int i = 0; i < got.length; i++) {
                float x = (float) result[place.applyAsInt(i)];
                assertEquals(Numbers.round(copy.dtype, x * inverse), got[i], copy.name + " element " + i);
            }
        });
    }

    /// Never below what was there; NaN above all.
    private static double largest(double[] result) {
        double most = 0.25;
        for (double v : result) {
            most = Double.isNaN(v) || Double.isNaN(most) ? Double.NaN : Math.max(most, Math.abs(v));
        }
        return most;
    }

    private static Kernel gelu(Trial t, DType dtype, int n, int c, Content content) {
        Operand x = t.in("x", dtype, content, n, c);
        return new Kernel(
                (k, out, casts) -> k.gelu(out, x.tensor(), casts),
                m -> Reference.map(m, n * c, (_, i) -> Reference.gelu(m, x.initial()[i])));
    }

    private static Kernel geluGrad(Trial t, DType dtype, int n, int c) {
        Operand dy = t.in("dy", dtype, normal(1), n, c);
        Operand x = t.in("x", dtype, normal(3), n, c);
        return new Kernel(
                (k, out, casts) -> k.geluGrad(out, dy.tensor(), x.tensor(), 0f, casts),
                m -> Reference.map(m, n * c, (_, i) -> Reference.geluGrad(m, dy.initial()[i], x.initial()[i])));
    }

    private static Kernel swiGlu(Trial t, DType dtype, int n, int c) {
        Operand x = t.in("x", dtype, normal(3), n, 2 * c);
        return new Kernel(
                (k, out, casts) -> k.swiGlu(out, x.tensor(), casts), m -> Reference.swiGlu(m, x.initial(), c));
    }

    private static Kernel layerNorm(Trial t, DType dtype, int n, int c) {
        Operand x = t.in("x", dtype, normal(1), n, c);
        Operand weight = t.in("weight", dtype, normal(1, 0.3), c);
        Operand bias = t.in("bias", dtype, normal(1), c);
        Operand mean = t.out("mean", DType.F32, n);
        Operand rstd = t.out("rstd", DType.F32, n);
        t.expect(mean, m -> ReferenceRows.mean(m, x.initial(), c));
        t.expect(rstd, m -> ReferenceRows.rstd(m, x.initial(), c, ReferenceRows.mean(m, x.initial(), c), EPSILON));
        return new Kernel(
                (k, out, casts) -> k.layerNorm(
                        out,
                        null,
                        mean.tensor(),
                        rstd.tensor(),
                        x.tensor(),
                        null,
                        weight.tensor(),
                        bias.tensor(),
                        EPSILON,
                        casts),
                m -> ReferenceRows.layerNorm(m, x.initial(), c, weight.initial(), bias.initial(), EPSILON));
    }

    /// With a residual, which the total replaces.
    private static Kernel rmsNorm(Trial t, DType dtype, int n, int c) {
        Operand x = t.in("x", dtype, normal(1), n, c);
        Operand residual = t.in("residual", dtype, normal(1), n, c);
        Operand total = t.out("total", dtype, n, c);
        Operand weight = t.in("weight", dtype, normal(1, 0.3), c);
        Operand rstd = t.out("rstd", DType.F32, n);
        double[] sum = Reference.map(
                Arithmetic.EXACT, n * c, (_, i) -> Numbers.round(dtype, x.initial()[i] + residual.initial()[i]));
        t.expectExactly(total, sum);
        t.expect(rstd, m -> ReferenceRows.rstd(m, sum, c, new double[n], EPSILON));
        return new Kernel(
                (k, out, casts) -> k.rmsNorm(
                        out,
                        total.tensor(),
                        rstd.tensor(),
                        x.tensor(),
                        residual.tensor(),
                        weight.tensor(),
                        EPSILON,
                        casts),
                m -> ReferenceRows.rmsNorm(m, sum, c, weight.initial(), EPSILON));
    }
}
