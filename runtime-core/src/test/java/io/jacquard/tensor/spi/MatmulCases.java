package io.jacquard.tensor.spi;

import static io.jacquard.tensor.spi.MovingCases.FLOATS;
import static io.jacquard.tensor.spi.MovingCases.results;
import static io.jacquard.tensor.spi.Trial.normal;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.spi.Trial.Operand;
import io.jacquard.tensor.spi.Trial.Table;
import org.jspecify.annotations.Nullable;

/// Matrix products with every transposition, accumulation and epilogue.
final class MatmulCases {
    /// Rows, columns, inner.
    private static final int[][] SHAPES = {
        {1, 1, 1},
        {1, 7, 33},
        {2, 31, 32},
        {7, 1, 127},
        {33, 32, 31},
        {127, 33, 2},
        {32, 256, 7},
        {1, 1023, 64},
        {64, 64, 1023},
        {300, 127, 33},
        // rows on 16-byte boundaries, tails everywhere, and more k-tiles than a pipeline has stages
        {72, 136, 456},
        {31, 300, 256}
    };

    /// More than the 8 tiles that kernels may take together, in several columns, whichever tile a device takes.
    private static final int[] MANY_TILES = {264, 520, 8};

    private MatmulCases() {}

    static void into(Table table) {
        for (DType dtype : FLOATS) {
            plain(table, dtype, MANY_TILES, false, true, 0);
            for (int[] s : SHAPES) {
                for (int flags = 0; flags < 4; flags++) {
                    for (float beta = 0; beta <= 1; beta++) {
                        plain(table, dtype, s, (flags & 1) != 0, (flags & 2) != 0, beta);
                    }
                }
                epilogues(table, dtype, s);
                fusedAndApart(table, dtype, s);
            }
        }
    }

    private static String name(DType dtype, int[] s, boolean ta, boolean tb) {
        return s[0] + "x" + s[1] + "x" + s[2] + (ta ? " a^T" : " a") + (tb ? " b^T " : " b ") + dtype;
    }

    private static Operand a(Trial t, DType dtype, int[] s, boolean ta) {
        return ta ? t.in("a", dtype, normal(1), s[2], s[0]) : t.in("a", dtype, normal(1), s[0], s[2]);
    }

    private static Operand b(Trial t, DType dtype, int[] s, boolean tb) {
        return tb ? t.in("b", dtype, normal(1), s[1], s[2]) : t.in("b", dtype, normal(1), s[2], s[1]);
    }

    private static void plain(Table table, DType dtype, int[] s, boolean ta, boolean tb, float beta) {
        for (DType result : results(dtype)) {
            table.add("matmul", name(dtype, s, ta, tb) + " into " + result + " beta " + beta, t -> {
                Operand a = a(t, dtype, s, ta);
                Operand b = b(t, dtype, s, tb);
                Operand out = t.out("out", result, beta, s[0], s[1]);
                t.run(k -> k.matmul(out.tensor(), a.tensor(), ta, b.tensor(), tb, beta, Epilogue.NONE));
                t.expect(out, beta, m -> Reference.matmul(m, a.initial(), ta, b.initial(), tb, s[0], s[1], s[2]));
            });
        }
    }

    private static void epilogues(Table table, DType dtype, int[] s) {
        for (float beta = 0; beta <= 1; beta++) {
            float b1 = beta;
            table.add("matmul", name(dtype, s, false, true) + " with bias, beta " + beta, t -> {
                Operand a = a(t, dtype, s, false);
                Operand b = b(t, dtype, s, true);
                Operand bias = t.in("bias", dtype, normal(1), s[1]);
                Operand out = t.out("out", dtype, b1, s[0], s[1]);
                t.run(k ->
                        k.matmul(out.tensor(), a.tensor(), false, b.tensor(), true, b1, Epilogue.bias(bias.tensor())));
                t.expect(out, b1, m -> biased(m, a, b, bias, s));
            });
        }
        for (boolean withBias : new boolean[] {false, true}) {
            table.add("matmul", name(dtype, s, false, true) + " with gelu" + (withBias ? " and bias" : ""), t -> {
                Operand a = a(t, dtype, s, false);
                Operand b = b(t, dtype, s, true);
                Operand bias = withBias ? t.in("bias", dtype, normal(1), s[1]) : null;
                Operand pre = t.out("pre", dtype, s[0], s[1]);
                Operand out = t.out("out", dtype, s[0], s[1]);
                Epilogue epilogue = Epilogue.gelu(bias == null ? null : bias.tensor(), pre.tensor());
                t.run(k -> k.matmul(out.tensor(), a.tensor(), false, b.tensor(), true, 0f, epilogue));
                t.expect(pre, m -> biased(m, a, b, bias, s));
                t.expect(out, m -> {
                    // a backend may take gelu of what it stored: with gelu' below 1.13 an error of one ulp of `pre`
                    double[] x = biased(m, a, b, bias, s);
                    return Reference.map(m, x.length, (_, i) -> Reference.gelu(m, m.store(dtype, x[i])));
                });
            });
        }
    }

    /// Fused and apart give the same bits: without gradients, as when a block is recomputed, the pair runs.
    private static void fusedAndApart(Table table, DType dtype, int[] s) {
        table.add("matmul", name(dtype, s, false, true) + " with gelu is that of gelu", t -> {
            Operand a = a(t, dtype, s, false);
            Operand b = b(t, dtype, s, true);
            Operand bias = t.in("bias", dtype, normal(1), s[1]);
            Operand pre = t.out("pre", dtype, s[0], s[1]);
            Operand fused = t.out("fused", dtype, s[0], s[1]);
            Operand apart = t.out("apart", dtype, s[0], s[1]);
            t.run(k -> {
                Epilogue gelu = Epilogue.gelu(bias.tensor(), pre.tensor());
                k.matmul(fused.tensor(), a.tensor(), false, b.tensor(), true, 0f, gelu);
                Epilogue plain = Epilogue.bias(bias.tensor());
                k.matmul(apart.tensor(), a.tensor(), false, b.tensor(), true, 0f, plain);
                k.gelu(apart.tensor(), apart.tensor());
            });
            t.expectThat(pre, _ -> {});
            t.expectThat(apart, _ -> {});
            t.expectThat(fused, got -> assertArrayEquals(apart.got(), got));
        });
    }

    private static double[] biased(Arithmetic m, Operand a, Operand b, @Nullable Operand bias, int[] s) {
        double[] y = Reference.matmul(m, a.initial(), false, b.initial(), true, s[0], s[1], s[2]);
        return bias == null ? y : Reference.map(m, y.length, (_, i) -> m.add(y[i], bias.initial()[i % s[1]]));
    }
}
