package io.jacquard.tensor.spi;

import static io.jacquard.tensor.spi.MovingCases.FLOATS;
import static io.jacquard.tensor.spi.Trial.normal;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.spi.LowPrecisionCases.Matrix;
import io.jacquard.tensor.spi.Scaled.Blocks;
import io.jacquard.tensor.spi.Trial.Operand;
import io.jacquard.tensor.spi.Trial.Table;
import org.jspecify.annotations.Nullable;

/// Products of low-precision matrices.
final class ScaledCases {
    /// Rows, columns, inner: tails of everything, and one of several tiles and blocks.
    private static final int[][] SHAPES = {
        {1, 1, 1}, {2, 31, 32}, {7, 1, 127}, {33, 32, 31}, {1, 300, 64}, {127, 33, 272}, {72, 136, 272}
    };

    /// Whole tiles, whole blocks and tails of both; sums that are worth splitting; and several blocks in rows that
    /// no tensor core takes.
    private static final int[][] LARGE = {{136, 200, 384}, {64, 64, 1024}, {9, 34, 203}};

    /// Sums that are worth splitting in tiles of 128 x 128 of a Hopper device, with tails of tiles and blocks.
    private static final int[] LONG = {66, 72, 1936};

    /// Rows of activations, rows and columns of weights; more than 512 rows are worth a copy of the weights.
    private static final int[][] WEIGHTS = {
        {1, 64, 64}, {2, 7, 34}, {3, 33, 130}, {16, 128, 256}, {33, 96, 160}, {520, 24, 64}, {70, 72, 136}
    };

    /// The same of few rows: sums that are worth splitting, one way round and the other, and a tile of 32 rows.
    private static final int[][] FEW = {{3, 41, 1024}, {3, 512, 32}, {20, 72, 96}};

    private static final int[] GROUPS = {32, 64, 128};

    private record Types(DType a, DType b) {}

    private record Pair(Blocks a, Blocks b) {
        @Override
        public String toString() {
            return name(a) + " and " + name(b);
        }
    }

    private static final Pair[] OF_FLOATS = {
        new Pair(Blocks.WHOLE, Blocks.WHOLE),
        new Pair(Blocks.ROWS, Blocks.ROWS),
        new Pair(Blocks.LINES, Blocks.LINES),
        new Pair(Blocks.LINES, Blocks.SQUARES)
    };
    private static final Pair[] OF_INTEGERS = {new Pair(Blocks.WHOLE, Blocks.WHOLE), new Pair(Blocks.ROWS, Blocks.ROWS)
    };

    private ScaledCases() {}

    static void into(Table table) {
        for (Types types : new Types[] {
            new Types(DType.I8, DType.I8),
            new Types(DType.F8E5M2, DType.F8E4M3),
            new Types(DType.F8E4M3, DType.F8E5M2),
            new Types(DType.F8E4M3, DType.F8E4M3)
        }) {
            for (Pair blocks : types.a == DType.I8 ? OF_INTEGERS : OF_FLOATS) {
                for (int[] s : SHAPES) {
                    plain(table, types, blocks, s, DType.BF16, 0);
                }
                plain(table, types, blocks, SHAPES[3], DType.F32, 1);
                plain(table, types, blocks, SHAPES[5], DType.F32, 1);
                epilogues(table, types, blocks, new int[] {33, 136, 144});
            }
            Pair last = types.a == DType.I8 ? OF_INTEGERS[1] : OF_FLOATS[3];
            for (int[] s : LARGE) {
                plain(table, types, last, s, DType.F32, 1);
            }
            if (types.a == types.b && types.a != DType.I8) {
                plain(table, types, last, LONG, DType.F32, 1);
            }
            plain(table, types, OF_INTEGERS[1], new int[] {72, 136, 400}, DType.F16, 0);
            plain(table, types, OF_INTEGERS[0], new int[] {3, 7, 0}, DType.BF16, 0);
        }
        for (DType dtype : FLOATS) {
            for (DType type : new DType[] {DType.I8, DType.I4}) {
                for (int i = 0; i < WEIGHTS.length; i++) {
                    weights(table, dtype, type, WEIGHTS[i], GROUPS[i % 3]);
                    weights(table, dtype, type, WEIGHTS[i], GROUPS[(i + 1) % 3]);
                }
                for (int[] s : dtype == DType.BF16 ? FEW : new int[0][]) {
                    weights(table, dtype, type, s, GROUPS[0]);
                }
            }
        }
    }

    static String name(Blocks b) {
        return b.isWhole() ? "whole" : b.equals(Blocks.ROWS) ? "by row" : b.rows() + "x" + b.columns();
    }

    private static String name(int[] s, Types types, Pair blocks) {
        return s[0] + "x" + s[1] + "x" + s[2] + " " + types.a + " " + types.b + " " + blocks;
    }

    private static Matrix a(Trial t, Types types, Pair blocks, int[] s) {
        return LowPrecisionCases.in(t, "a", types.a, blocks.a, false, s[0], s[2]);
    }

    private static Matrix b(Trial t, Types types, Pair blocks, int[] s) {
        return LowPrecisionCases.in(t, "b", types.b, blocks.b, false, s[1], s[2]);
    }

    private static double[] product(Arithmetic m, Matrix a, Matrix b, @Nullable Operand bias, int[] s) {
        double[] y = Reference.matmul(m, a.elements(m), false, b.elements(m), true, s[0], s[1], s[2]);
        return bias == null ? y : Reference.map(m, y.length, (_, i) -> m.add(y[i], bias.initial()[i % s[1]]));
    }

    private static void plain(Table table, Types types, Pair blocks, int[] s, DType dtype, float beta) {
        table.add("matmulScaled", name(s, types, blocks) + " into " + dtype + " beta " + beta, t -> {
            Matrix a = a(t, types, blocks, s);
            Matrix b = b(t, types, blocks, s);
            Operand out = t.out("out", dtype, beta, s[0], s[1]);
            t.run(k -> k.matmulScaled(out.tensor(), a.scaled(), b.scaled(), beta, Epilogue.NONE));
            t.expect(out, beta, m -> product(m, a, b, null, s));
        });
    }

    private static void epilogues(Table table, Types types, Pair blocks, int[] s) {
        table.add("matmulScaled", name(s, types, blocks) + " with bias", t -> {
            Matrix a = a(t, types, blocks, s);
            Matrix b = b(t, types, blocks, s);
            Operand bias = t.in("bias", DType.BF16, normal(1), s[1]);
            Operand out = t.out("out", DType.BF16, s[0], s[1]);
            t.run(k -> k.matmulScaled(out.tensor(), a.scaled(), b.scaled(), 0f, Epilogue.bias(bias.tensor())));
            t.expect(out, m -> product(m, a, b, bias, s));
        });
        table.add("matmulScaled", name(s, types, blocks) + " with gelu", t -> {
            Matrix a = a(t, types, blocks, s);
            Matrix b = b(t, types, blocks, s);
            Operand bias = t.in("bias", DType.BF16, normal(1), s[1]);
            Operand pre = t.out("pre", DType.BF16, s[0], s[1]);
            Operand out = t.out("out", DType.BF16, s[0], s[1]);
            Epilogue gelu = Epilogue.gelu(bias.tensor(), pre.tensor());
            t.run(k -> k.matmulScaled(out.tensor(), a.scaled(), b.scaled(), 0f, gelu));
            t.expect(pre, m -> product(m, a, b, bias, s));
            t.expect(out, m -> {
                double[] x = product(m, a, b, bias, s);
                return Reference.map(m, x.length, (_, i) -> Reference.gelu(m, m.store(DType.BF16, x[i])));
            });
        });
    }

    /// The weights; a device may keep them in the type of the activations.
    private static double[] elements(Arithmetic a, Matrix w, DType dtype) {
        return Reference.map(a, w.values().initial().length, (m, i) -> m.store(dtype, w.at(m, i)));
    }

    private static void weights(Table table, DType dtype, DType type, int[] s, int group) {
        int m = s[0];
        int n = s[1];
        int c = s[2];
        String name = m + " by " + n + "x" + c + " " + dtype + " " + type + " in groups of " + group;
        for (boolean zeros : type == DType.I4 ? new boolean[] {false, true} : new boolean[] {false}) {
            String with = zeros ? " with zeros" : "";
            table.add("matmulWeights", name + with + ", input gradient", t -> {
                Operand x = t.in("x", dtype, normal(1), m, n);
                Matrix w = LowPrecisionCases.in(t, "w", type, Blocks.groups(group), zeros, n, c);
                Operand out = t.out("out", dtype, 1f, m, c);
                t.run(k -> k.matmulWeights(out.tensor(), x.tensor(), w.scaled(), false, 1f, Epilogue.NONE));
                t.expect(out, 1f, a -> Reference.matmul(a, x.initial(), false, elements(a, w, dtype), false, m, c, n));
            });
            table.add("matmulWeights", name + with, t -> {
                Operand x = t.in("x", dtype, normal(1), m, c);
                Matrix w = LowPrecisionCases.in(t, "w", type, Blocks.groups(group), zeros, n, c);
                Operand bias = t.in("bias", dtype, normal(1), n);
                Operand out = t.out("out", dtype, m, n);
                t.run(k ->
                        k.matmulWeights(out.tensor(), x.tensor(), w.scaled(), true, 0f, Epilogue.bias(bias.tensor())));
                t.expect(out, a -> {
                    double[] y = Reference.matmul(a, x.initial(), false, elements(a, w, dtype), true, m, n, c);
                    return Reference.map(a, y.length, (_, i) -> a.add(y[i], bias.initial()[i % n]));
                });
            });
        }
    }
}
