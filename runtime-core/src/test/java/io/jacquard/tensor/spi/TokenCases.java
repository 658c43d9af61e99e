package io.jacquard.tensor.spi;

import static io.jacquard.tensor.spi.MovingCases.FLOATS;
import static io.jacquard.tensor.spi.MovingCases.results;
import static io.jacquard.tensor.spi.Trial.below;
import static io.jacquard.tensor.spi.Trial.constant;
import static io.jacquard.tensor.spi.Trial.normal;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.spi.Trial.Content;
import io.jacquard.tensor.spi.Trial.Operand;
import io.jacquard.tensor.spi.Trial.Table;
import org.jspecify.annotations.Nullable;

/// Embedding and cross entropy.
final class TokenCases {
    /// Batch, time, vocabulary, channels.
    private static final int[][] SIZES = {
        {1, 1, 1, 1},
        {2, 7, 3, 31},
        {3, 31, 127, 32},
        {1, 33, 2, 33},
        {2, 127, 300, 7},
        {1, 256, 1023, 127},
        {2, 2, 33, 256},
        {1, 300, 31, 300},
        {1, 2, 7, 1023}
    };

    /// Ids that occur in hundreds of rows, and more rows than one block of a GPU sorts.
    private static final int[][] LARGE_SIZES = {{2, 400, 3, 24}, {1, 700, 1, 16}, {1, 2100, 50, 8}};

    /// Odd, as real vocabularies are: 16-byte loads have a head and a tail, and the loop of four of them ends
    /// between two threads of a block of 512.
    private static final int[][] LARGE_ROWS = {{2, 48007}};

    private TokenCases() {}

    static void into(Table table) {
        for (DType dtype : FLOATS) {
            for (int[] s : LARGE_SIZES) {
                embeddingGrad(table, dtype, s);
            }
            for (int[] rows : LARGE_ROWS) {
                crossEntropy(table, dtype, rows, true);
            }
            for (int[] s : SIZES) {
                embedding(table, dtype, s, false);
                embedding(table, dtype, s, true);
                embeddingGrad(table, dtype, s);
            }
            for (int[] rows : NormCases.ROWS) {
                for (boolean gradient : new boolean[] {false, true}) {
                    crossEntropy(table, dtype, rows, gradient);
                }
            }
            special(table, dtype);
        }
    }

    private static void embedding(Table table, DType dtype, int[] s, boolean withPositions) {
        int c = s[3];
        table.add("embedding", name(s, dtype) + (withPositions ? " with positions" : ""), t -> {
            Operand weights = t.in("table", dtype, normal(1), s[2], c);
            Operand ids = t.in("ids", DType.I32, below(s[2]), s[0], s[1]);
            // longer than needed: a model's context is longer than its first batch
            @Nullable Operand positions = withPositions ? t.in("positions", dtype, normal(1), s[1] + 3, c) : null;
            Operand out = t.out("out", dtype, s[0], s[1], c);
            t.run(k -> k.embedding(
                    out.tensor(),
                    weights.tensor(),
                    ids.tensor(),
                    0,
                    s[2],
                    positions == null ? null : positions.tensor()));
            t.expectExactly(out, Reference.map(Arithmetic.EXACT, s[0] * s[1] * c, (_, i) -> {
                double p = positions == null ? 0 : positions.initial()[i / c % s[1] * c + i % c];
                return weights.initial()[(int) ids.initial()[i / c] * c + i % c] + p;
            }));
        });
    }

    private static String name(int[] s, DType dtype) {
        return "B" + s[0] + " T" + s[1] + " V" + s[2] + " C" + s[3] + " " + dtype;
    }

    private static void embeddingGrad(Table table, DType dtype, int[] s) {
        for (DType result : results(dtype)) {
            for (float beta = 0; beta <= 1; beta++) {
                float b1 = beta;
                table.add("embeddingGrad", name(s, dtype) + " into " + result + " beta " + beta, t -> {
                    Operand dy = t.in("dy", dtype, normal(1), s[0], s[1], s[3]);
                    Operand ids = t.in("ids", DType.I32, below(s[2]), s[0], s[1]);
                    Operand dTable = t.out("dTable", result, b1, s[2], s[3]);
                    t.run(k -> k.embeddingGrad(dTable.tensor(), dy.tensor(), ids.tensor(), 0, b1));
                    t.expect(dTable, b1, m -> scattered(m, dy.initial(), ids.initial(), s));
                });
            }
        }
    }

    static double[] scattered(Arithmetic m, double[] dy, double[] ids, int[] s) {
        double[] y = new double[s[2] * s[3]];
        for (int i = 0; i < dy.length; i++) {
            int at = (int) ids[i / s[3]] * s[3] + i % s[3];
            y[at] = m.add(y[at], dy[i]);
        }
        return y;
    }

    private static void crossEntropy(Table table, DType dtype, int[] rows, boolean gradient) {
        table.add(
                "crossEntropy",
                rows[0] + "x" + rows[1] + (gradient ? " with gradient " : " ") + dtype,
                t -> crossEntropy(t, dtype, rows, normal(3), (r, _) -> r.nextInt(-1, rows[1]), gradient));
    }

    private static void crossEntropy(
            Trial t, DType dtype, int[] rows, Content content, Content label, boolean gradient) {
        int n = rows[0];
        int c = rows[1];
        float factor = 1f / 7;
        Operand logits = t.in("logits", dtype, content, n, c);
        Operand labels = t.in("labels", DType.I32, label, n);
        @Nullable Operand scale = gradient ? t.in("scale", DType.F32, constant(factor), 1) : null;
        Operand losses = t.out("losses", DType.F32, n);
        t.run(k -> k.crossEntropy(
                losses.tensor(), logits.tensor(), labels.tensor(), scale == null ? null : scale.tensor()));
        t.expect(losses, m -> ReferenceRows.losses(m, logits.initial(), c, labels.initial()));
        if (gradient) {
            t.expect(logits, m -> ReferenceRows.crossEntropyGrad(m, logits.initial(), c, labels.initial(), factor));
        }
    }

    private static void special(Table table, DType dtype) {
        int[] rows = {3, 33};
        table.add(
                "crossEntropy",
                "special: all labels ignored " + dtype,
                t -> crossEntropy(t, dtype, rows, normal(1), constant(-100), true));
        table.add(
                "crossEntropy",
                "special: large logits " + dtype,
                t -> crossEntropy(t, dtype, rows, normal(3000), below(33), true));
        table.add(
                "crossEntropy",
                "special: all equal " + dtype,
                t -> crossEntropy(t, dtype, rows, constant(-7), below(33), true));
        table.add(
                "crossEntropy",
                "special: minus infinity masks out " + dtype,
                t -> crossEntropy(
                        t,
                        dtype,
                        rows,
                        (r, i) -> i % 3 == 1 ? Double.NEGATIVE_INFINITY : r.nextGaussian(),
                        constant(3),
                        true));
        table.add(
                "crossEntropy",
                "special: NaN stays in its row " + dtype,
                t -> crossEntropy(
                        t, dtype, rows, (r, i) -> i == 40 ? Double.NaN : r.nextGaussian(), constant(3), true));
    }
}
