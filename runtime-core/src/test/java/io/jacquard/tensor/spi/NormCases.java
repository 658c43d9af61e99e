package io.jacquard.tensor.spi;

import static io.jacquard.tensor.spi.MovingCases.FLOATS;
import static io.jacquard.tensor.spi.MovingCases.results;
import static io.jacquard.tensor.spi.Trial.normal;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Trial.Operand;
import io.jacquard.tensor.spi.Trial.Table;
import org.jspecify.annotations.Nullable;

/// LayerNorm, RMSNorm, softmax and their gradients.
final class NormCases {
    /// The last is what runs off alignment: whole vectors, or the scalar path would be taken anyway.
    static final int[][] ROWS = {
        {1, 1}, {2, 7}, {7, 31}, {3, 32}, {33, 33}, {31, 127}, {300, 2}, {5, 300}, {2, 1023}, {7, 256}
    };
    /// Rows of several warps, of a block, wider than a block's registers; and many more rows than a small device
    /// has at a time. In one form of each operation, since they are slow to emulate.
    private static final int[][] LARGE_ROWS = {
        {200, 64}, {60, 768}, {5, 2048}, {3, 3000}, {2, 5000}, {2, 10248}, {1, 16400}
    };

    private static final float EPSILON = 1e-5f;

    private NormCases() {}

    static void into(Table table) {
        for (DType dtype : FLOATS) {
            for (int[] rows : LARGE_ROWS) {
                large(table, dtype, rows[0], rows[1]);
            }
            for (int[] rows : ROWS) {
                int n = rows[0];
                int c = rows[1];
                String name = n + "x" + c + " " + dtype;
                for (Residual r : Residual.values()) {
                    layerNorm(table, name, dtype, n, c, r);
                    rmsNorm(table, name, dtype, n, c, r);
                }
                softmax(table, name, dtype, n, c);
                for (float beta = 0; beta <= 1; beta++) {
                    softmaxGrad(table, name, dtype, n, c, beta);
                    for (DType weights : results(dtype)) {
                        layerNormGrad(table, name, dtype, weights, n, c, beta, true, true);
                        rmsNormGrad(table, name, dtype, weights, n, c, beta, true, true);
                    }
                }
                layerNormGrad(table, name, dtype, dtype, n, c, 0, true, false);
                layerNormGrad(table, name, dtype, dtype, n, c, 1, false, true);
                rmsNormGrad(table, name, dtype, dtype, n, c, 0, true, false);
                rmsNormGrad(table, name, dtype, dtype, n, c, 1, false, true);
            }
            special(table, dtype);
        }
    }

    private static void large(Table table, DType dtype, int n, int c) {
        String name = n + "x" + c + " " + dtype;
        layerNorm(table, name, dtype, n, c, Residual.NONE);
        rmsNorm(table, name, dtype, n, c, Residual.GIVEN);
        softmax(table, name, dtype, n, c);
        softmaxGrad(table, name, dtype, n, c, 1);
        layerNormGrad(table, name, dtype, DType.F32, n, c, 0, true, true);
        layerNormGrad(table, name, dtype, dtype, n, c, 1, true, true);
        rmsNormGrad(table, name, dtype, DType.F32, n, c, 1, true, true);
    }

    private enum Residual {
        NONE,
        GIVEN,
        IN_PLACE
    }

    /// The operands that both norms have; `total` is null without a residual.
    private record Input(
            Operand x, @Nullable Operand residual, @Nullable Operand total, Operand weight, DType dtype) {
        static Input of(Trial t, DType dtype, int n, int c, Residual kind, Trial.Content content) {
            Operand x = t.in("x", dtype, content, n, c);
            Operand residual = kind == Residual.NONE ? null : t.in("residual", dtype, normal(1), n, c);
            Operand total = kind == Residual.GIVEN ? t.out("total", dtype, n, c) : residual;
            Input in = new Input(x, residual, total, t.in("weight", dtype, normal(1, 0.3), c), dtype);
            if (total != null) {
                t.expectExactly(total, in.normed());
            }
            return in;
        }

        /// What is normed: the total as it is stored.
        double[] normed() {
            return residual == null
                    ? x.initial()
                    : Reference.map(
                            Arithmetic.EXACT,
                            x.initial().length,
                            (_, i) -> Numbers.round(dtype, x.initial()[i] + residual.initial()[i]));
        }

        @Nullable
        Tensor totalTensor() {
            return total == null ? null : total.tensor();
        }

        @Nullable
        Tensor residualTensor() {
            return residual == null ? null : residual.tensor();
        }
    }

    private static void layerNorm(Table table, String name, DType dtype, int n, int c, Residual kind) {
        table.add("layerNorm", name + " residual " + kind, t -> layerNorm(t, dtype, n, c, kind, normal(1)));
    }

    private static void layerNorm(Trial t, DType dtype, int n, int c, Residual kind, Trial.Content content) {
        Input in = Input.of(t, dtype, n, c, kind, content);
        Operand bias = t.in("bias", dtype, normal(1), c);
        Operand mean = t.out("mean", DType.F32, n);
        Operand rstd = t.out("rstd", DType.F32, n);
        Operand out = t.out("out", dtype, n, c);
        t.run(k -> k.layerNorm(
                out.tensor(),
                in.totalTensor(),
                mean.tensor(),
                rstd.tensor(),
                in.x.tensor(),
                in.residualTensor(),
                in.weight.tensor(),
                bias.tensor(),
                EPSILON));
        double[] x = in.normed();
        t.expect(mean, m -> ReferenceRows.mean(m, x, c));
        t.expect(rstd, m -> ReferenceRows.rstd(m, x, c, ReferenceRows.mean(m, x, c), EPSILON));
        t.expect(out, m -> ReferenceRows.layerNorm(m, x, c, in.weight.initial(), bias.initial(), EPSILON));
    }

    private static void rmsNorm(Table table, String name, DType dtype, int n, int c, Residual kind) {
        table.add("rmsNorm", name + " residual " + kind, t -> rmsNorm(t, dtype, n, c, kind, normal(1)));
    }

    private static void rmsNorm(Trial t, DType dtype, int n, int c, Residual kind, Trial.Content content) {
        Input in = Input.of(t, dtype, n, c, kind, content);
        Operand rstd = t.out("rstd", DType.F32, n);
        Operand out = t.out("out", dtype, n, c);
        t.run(k -> k.rmsNorm(
                out.tensor(),
                in.totalTensor(),
                rstd.tensor(),
                in.x.tensor(),
                in.residualTensor(),
                in.weight.tensor(),
                EPSILON));
        double[] x = in.normed();
        t.expect(rstd, m -> ReferenceRows.rstd(m, x, c, new double[n], EPSILON));
        t.expect(out, m -> ReferenceRows.rmsNorm(m, x, c, in.weight.initial(), EPSILON));
    }

    /// Among them rows whose mean is large beside their deviation: `E(x^2) - E(x)^2` in float fails there.
    private static void special(Table table, DType dtype) {
        table.add(
                "layerNorm",
                "special: mean 1000, deviation 8 " + dtype,
                t -> layerNorm(t, dtype, 7, 256, Residual.NONE, normal(1000, 8)));
        table.add(
                "layerNorm",
                "special: all equal " + dtype,
                t -> layerNorm(t, dtype, 3, 256, Residual.NONE, (_, i) -> 1 + i / 256));
        table.add(
                "layerNorm",
                "special: zeros " + dtype,
                t -> layerNorm(t, dtype, 3, 33, Residual.NONE, Trial.constant(0)));
        table.add(
                "rmsNorm", "special: zeros " + dtype, t -> rmsNorm(t, dtype, 3, 33, Residual.NONE, Trial.constant(0)));
        table.add(
                "rmsNorm",
                "special: squares that vanish " + dtype,
                t -> rmsNorm(t, dtype, 3, 33, Residual.NONE, normal(1e-6)));
        for (double value : new double[] {Double.NaN, Double.POSITIVE_INFINITY}) {
            Trial.Content content = (random, i) -> i == 40 ? value : random.nextGaussian();
            String name = "special: " + value + " stays in its row " + dtype;
            table.add("layerNorm", name, t -> layerNorm(t, dtype, 3, 33, Residual.NONE, content));
            table.add("rmsNorm", name, t -> rmsNorm(t, dtype, 3, 33, Residual.NONE, content));
        }
    }

    private static void layerNormGrad(
            Table table,
            String name,
            DType dtype,
            DType weights,
            int n,
            int c,
            float beta,
            boolean wantX,
            boolean wantWeights) {
        table.add("layerNormGrad", gradName(name, weights, beta, wantX, wantWeights), t -> {
            Operand dy = t.in("dy", dtype, normal(1), n, c);
            Operand x = t.in("x", dtype, normal(1), n, c);
            double[] means = ReferenceRows.mean(Arithmetic.EXACT, x.initial(), c);
            double[] rstds = ReferenceRows.rstd(Arithmetic.EXACT, x.initial(), c, means, EPSILON);
            Operand mean = t.in("mean", DType.F32, Trial.values(means), n);
            Operand rstd = t.in("rstd", DType.F32, Trial.values(rstds), n);
            Operand weight = t.in("weight", dtype, normal(1, 0.3), c);
            Operand dx = wantX ? t.out("dx", dtype, beta, n, c) : null;
            float weightBeta = wantX ? 1 - beta : beta; // apart from beta, to see that they are not mixed up
            Operand dWeight = wantWeights ? t.out("dWeight", weights, weightBeta, c) : null;
            Operand dBias = wantWeights ? t.out("dBias", weights, weightBeta, c) : null;
            t.run(k -> k.layerNormGrad(
                    tensor(dx),
                    beta,
                    tensor(dWeight),
                    tensor(dBias),
                    weightBeta,
                    dy.tensor(),
                    x.tensor(),
                    mean.tensor(),
                    rstd.tensor(),
                    weight.tensor()));
            if (dx != null) {
                t.expect(
                        dx,
                        beta,
                        m -> ReferenceRows.normGrad(
                                m,
                                dy.initial(),
                                x.initial(),
                                c,
                                mean.initial(),
                                rstd.initial(),
                                weight.initial(),
                                true));
            }
            if (dWeight != null && dBias != null) {
                t.expect(
                        dWeight,
                        weightBeta,
                        m -> ReferenceRows.normWeightGrad(
                                m, dy.initial(), x.initial(), c, mean.initial(), rstd.initial()));
                t.expect(dBias, weightBeta, m -> Reference.sumRows(m, dy.initial(), c));
            }
        });
    }

    private static void rmsNormGrad(
            Table table,
            String name,
            DType dtype,
            DType weights,
            int n,
            int c,
            float beta,
            boolean wantX,
            boolean wantWeights) {
        table.add("rmsNormGrad", gradName(name, weights, beta, wantX, wantWeights), t -> {
            Operand dy = t.in("dy", dtype, normal(1), n, c);
            Operand x = t.in("x", dtype, normal(1), n, c);
            double[] zero = new double[n];
            double[] rstds = ReferenceRows.rstd(Arithmetic.EXACT, x.initial(), c, zero, EPSILON);
            Operand rstd = t.in("rstd", DType.F32, Trial.values(rstds), n);
            Operand weight = t.in("weight", dtype, normal(1, 0.3), c);
            Operand dx = wantX ? t.out("dx", dtype, beta, n, c) : null;
            float weightBeta = wantX ? 1 - beta : beta;
            Operand dWeight = wantWeights ? t.out("dWeight", weights, weightBeta, c) : null;
            t.run(k -> k.rmsNormGrad(
                    tensor(dx),
                    beta,
                    tensor(dWeight),
                    weightBeta,
                    dy.tensor(),
                    x.tensor(),
                    rstd.tensor(),
                    weight.tensor()));
            if (dx != null) {
                t.expect(
                        dx,
                        beta,
                        m -> ReferenceRows.normGrad(
                                m, dy.initial(), x.initial(), c, zero, rstd.initial(), weight.initial(), false));
            }
            if (dWeight != null) {
                t.expect(
                        dWeight,
                        weightBeta,
                        m -> ReferenceRows.normWeightGrad(m, dy.initial(), x.initial(), c, zero, rstd.initial()));
            }
        });
    }

    private static String gradName(String name, DType weights, float beta, boolean wantX, boolean wantWeights) {
        return name
                + (wantX ? " dx beta " + beta : "")
                + (wantWeights ? " weights " + weights + (wantX ? "" : " beta " + beta) : "");
    }

    private static @Nullable Tensor tensor(@Nullable Operand o) {
        return o == null ? null : o.tensor();
    }

    private static void softmax(Table table, String name, DType dtype, int n, int c) {
        table.add("softmax", name, t -> {
            Operand x = t.in("x", dtype, normal(4), n, c);
            Operand out = t.out("out", dtype, n, c);
            t.run(k -> k.softmax(out.tensor(), x.tensor()));
            t.expect(out, m -> ReferenceRows.softmax(m, x.initial(), c));
        });
    }

    private static void softmaxGrad(Table table, String name, DType dtype, int n, int c, float beta) {
        table.add("softmaxGrad", name + " beta " + beta, t -> {
            Operand dy = t.in("dy", dtype, normal(1), n, c);
            Operand logits = t.in("logits", dtype, normal(2), n, c);
            double[] p = ReferenceRows.softmax(Arithmetic.EXACT, logits.initial(), c);
            Operand y = t.in("y", dtype, Trial.values(p), n, c);
            Operand dx = t.out("dx", dtype, beta, n, c);
            t.run(k -> k.softmaxGrad(dx.tensor(), dy.tensor(), y.tensor(), beta));
            t.expect(dx, beta, m -> ReferenceRows.softmaxGrad(m, dy.initial(), y.initial(), c));
        });
    }
}
