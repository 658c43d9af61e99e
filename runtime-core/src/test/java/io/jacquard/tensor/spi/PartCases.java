package io.jacquard.tensor.spi;

import static io.jacquard.tensor.spi.MovingCases.FLOATS;
import static io.jacquard.tensor.spi.MovingCases.results;
import static io.jacquard.tensor.spi.Trial.below;
import static io.jacquard.tensor.spi.Trial.constant;
import static io.jacquard.tensor.spi.Trial.normal;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Trial.Content;
import io.jacquard.tensor.spi.Trial.Operand;
import io.jacquard.tensor.spi.Trial.Table;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// Tables and logits that ranks divide, in parts of uneven sizes: what all parts give together is what the whole gives.
final class PartCases {
    /// Batch, time, vocabulary, channels. Of the large one some parts end within a tile of a GPU's sorted rows, and
    /// have ids that go on over many.
    private static final int[][] SIZES = {
        {1, 2, 1, 7}, {2, 7, 3, 31}, {3, 31, 127, 32}, {1, 300, 7, 40}, {1, 2100, 50, 8}, {2, 50, 5, 256}
    };

    private static final int[][] LARGE_ROWS = {{2, 48007}};

    private PartCases() {}

    static void into(Table table) {
        for (DType dtype : FLOATS) {
            for (int[] rows : LARGE_ROWS) {
                crossEntropy(table, dtype, rows, true);
            }
            for (int[] s : SIZES) {
                for (boolean withPositions : new boolean[] {false, true}) {
                    embedding(table, dtype, s, withPositions);
                }
                for (DType result : results(dtype)) {
                    embeddingGrad(table, dtype, result, s, 0, below(s[2]), "");
                    embeddingGrad(table, dtype, result, s, 1, below(s[2]), "");
                }
            }
            embeddingGrad(table, dtype, dtype, SIZES[4], 1, constant(3), "special: ids of one part only, ");
            for (int[] rows : NormCases.ROWS) {
                stats(table, dtype, rows, normal(3), "");
                crossEntropy(table, dtype, rows, false);
                crossEntropy(table, dtype, rows, true);
            }
            special(table, dtype);
        }
    }

    /// Where the parts begin, and the end: at most three parts, none empty.
    private static int[] cuts(int n) {
        return Arrays.stream(new int[] {0, n / 4, n - n / 3, n}).distinct().toArray();
    }

    private static String name(int[] s, DType dtype) {
        return "parts of B" + s[0] + " T" + s[1] + " V" + s[2] + " C" + s[3] + " " + dtype;
    }

    // ---- tables

    private static void embedding(Table table, DType dtype, int[] s, boolean withPositions) {
        int c = s[3];
        int[] cuts = cuts(s[2]);
        table.add("embedding", name(s, dtype) + (withPositions ? " with positions" : ""), t -> {
            Operand weights = t.in("table", dtype, normal(1), s[2], c);
            Operand ids = t.in("ids", DType.I32, below(s[2]), s[0], s[1]);
            @Nullable Operand positions = withPositions ? t.in("positions", dtype, normal(1), s[1], c) : null;
            Operand[] outs = new Operand[cuts.length - 1];
            for (int p = 0; p < outs.length; p++) {
                int first = cuts[p];
                int end = cuts[p + 1];
                outs[p] = t.out("out" + p, dtype, s[0], s[1], c);
                t.expectExactly(outs[p], Reference.map(Arithmetic.EXACT, s[0] * s[1] * c, (_, i) -> {
                    int id = (int) ids.initial()[i / c];
                    double x = id >= first && id < end ? weights.initial()[id * c + i % c] : 0;
                    return x + (positions == null ? 0 : positions.initial()[i / c % s[1] * c + i % c]);
                }));
            }
            t.run(k -> {
                for (int p = 0; p < outs.length; p++) {
                    k.embedding(
                            outs[p].tensor(),
                            weights.tensor().rows(cuts[p], cuts[p + 1]),
                            ids.tensor(),
                            cuts[p],
                            s[2],
                            positions == null ? null : positions.tensor());
                }
            });
        });
    }

    private static void embeddingGrad(
            Table table, DType dtype, DType result, int[] s, float beta, Content id, String special) {
        int[] cuts = cuts(s[2]);
        table.add("embeddingGrad", special + name(s, dtype) + " into " + result + " beta " + beta, t -> {
            Operand dy = t.in("dy", dtype, normal(1), s[0], s[1], s[3]);
            Operand ids = t.in("ids", DType.I32, id, s[0], s[1]);
            Operand dTable = t.out("dTable", result, beta, s[2], s[3]);
            t.run(k -> {
                for (int p = 0; p < cuts.length - 1; p++) {
                    Tensor part = dTable.tensor().rows(cuts[p], cuts[p + 1]);
                    k.embeddingGrad(part, dy.tensor(), ids.tensor(), cuts[p], beta);
                }
            });
            t.expect(dTable, beta, m -> TokenCases.scattered(m, dy.initial(), ids.initial(), s));
        });
    }

    // ---- logits

    private static void stats(Table table, DType dtype, int[] rows, Content content, String special) {
        int n = rows[0];
        int c = rows[1];
        int first = 11;
        table.add("crossEntropyStats", special + n + "x" + c + " " + dtype, t -> {
            Operand logits = t.in("logits", dtype, content, n, c);
            Operand labels = t.in("labels", DType.I32, (r, _) -> Math.max(-1, r.nextInt(-3, first + c + 3)), n);
            Operand stats = t.out("stats", DType.F32, 3, n);
            t.run(k -> k.crossEntropyStats(stats.tensor(), logits.tensor(), labels.tensor(), first));
            t.expectThat(stats, got -> {
                double[] max = ReferenceRows.largest(logits.initial(), c, labels.initial());
                assertArrayEquals(max, Arrays.copyOf(got, n), "largest");
                Tolerance.derive(DType.F32, m -> ReferenceRows.sums(m, logits.initial(), c, labels.initial(), max))
                        .check("sum", Arrays.copyOfRange(got, n, 2 * n));
                double[] atLabel = Reference.map(Arithmetic.EXACT, n, (_, i) -> {
                    int column = (int) labels.initial()[i] - first;
                    return column >= 0 && column < c ? logits.initial()[i * c + column] : Double.NEGATIVE_INFINITY;
                });
                assertArrayEquals(atLabel, Arrays.copyOfRange(got, 2 * n, 3 * n), "logit of the label");
            });
        });
    }

    private static void crossEntropy(Table table, DType dtype, int[] rows, boolean gradient) {
        table.add(
                "crossEntropyShard",
                rows[0] + "x" + rows[1] + (gradient ? " with gradient " : " ") + dtype,
                t -> crossEntropy(t, dtype, rows, normal(3), (r, _) -> r.nextInt(-1, rows[1]), gradient));
    }

    private static void crossEntropy(
            Trial t, DType dtype, int[] rows, Content content, Content label, boolean gradient) {
        int n = rows[0];
        int c = rows[1];
        int[] cuts = cuts(c);
        int parts = cuts.length - 1;
        float factor = 1f / 7;
        double[] whole = new double[n * c];
        Operand[] logits = new Operand[parts];
        Operand[] losses = new Operand[parts];
        for (int p = 0; p < parts; p++) {
            int first = cuts[p];
            int width = cuts[p + 1] - first;
            logits[p] = t.in("logits" + p, dtype, (r, i) -> content.at(r, i / width * c + first + i % width), n, width);
            losses[p] = t.out("losses" + p, DType.F32, n);
            for (int i = 0; i < n * width; i++) {
                whole[i / width * c + first + i % width] = logits[p].initial()[i];
            }
        }
        Operand labels = t.in("labels", DType.I32, label, n);
        Operand stats = t.out("stats", DType.F32, parts, 3, n);
        @Nullable Operand scale = gradient ? t.in("scale", DType.F32, constant(factor), 1) : null;
        t.run(k -> {
            for (int p = 0; p < parts; p++) {
                Tensor own = stats.tensor().rows(p, p + 1).reshape(Shape.of(3, n));
                k.crossEntropyStats(own, logits[p].tensor(), labels.tensor(), cuts[p]);
            }
            for (int p = 0; p < parts; p++) {
                k.crossEntropyShard(
                        losses[p].tensor(),
                        logits[p].tensor(),
                        labels.tensor(),
                        cuts[p],
                        stats.tensor(),
                        scale == null ? null : scale.tensor());
            }
        });
        t.expectThat(stats, _ -> {}); // has cases of its own
        t.expect(losses[0], m -> ReferenceRows.losses(m, whole, c, labels.initial()));
        for (int p = 1; p < parts; p++) {
            t.expectThat(losses[p], got -> assertArrayEquals(losses[0].got(), got, "the losses of another rank"));
        }
        for (int p = 0; gradient && p < parts; p++) {
            int first = cuts[p];
            int width = cuts[p + 1] - first;
            t.expect(logits[p], m -> {
                double[] dx = ReferenceRows.crossEntropyGrad(m, whole, c, labels.initial(), factor);
                return Reference.map(m, n * width, (_, i) -> dx[i / width * c + first + i % width]);
            });
        }
    }

    private static void special(Table table, DType dtype) {
        int[] rows = {3, 33};
        Content masked = (r, i) -> i % 33 >= 8 && i % 33 < 25 ? Double.NEGATIVE_INFINITY : r.nextGaussian();
        stats(table, dtype, rows, constant(Double.NEGATIVE_INFINITY), "special: minus infinity ");
        stats(table, dtype, rows, normal(3000), "special: large logits ");
        shard(table, dtype, "all labels ignored", normal(1), constant(-100));
        shard(table, dtype, "large logits", normal(3000), below(33));
        shard(table, dtype, "all equal", constant(-7), below(33));
        shard(table, dtype, "minus infinity masks out a part", masked, constant(3));
        shard(table, dtype, "NaN stays in its row", (r, i) -> i == 40 ? Double.NaN : r.nextGaussian(), constant(3));
        table.add("crossEntropyShard", "special: a label of no part " + dtype, t -> {
            Operand labels = t.in("labels", DType.I32, constant(9), 1);
            Operand logits = t.in("logits", dtype, normal(1), 1, 4);
            Operand stats = t.in("stats", DType.F32, Trial.values(1, 2, Double.NEGATIVE_INFINITY), 2, 3, 1);
            Operand losses = t.out("losses", DType.F32, 1);
            t.run(k -> k.crossEntropyShard(losses.tensor(), logits.tensor(), labels.tensor(), 4, stats.tensor(), null));
            t.expectExactly(losses, Double.POSITIVE_INFINITY);
        });
    }

    private static void shard(Table table, DType dtype, String name, Content content, Content label) {
        table.add(
                "crossEntropyShard",
                "special: " + name + " " + dtype,
                t -> crossEntropy(t, dtype, new int[] {3, 33}, content, label, true));
    }
}
