package io.jacquard.tensor.spi;

import static io.jacquard.tensor.spi.MovingCases.FLOATS;
import static io.jacquard.tensor.spi.MovingCases.SIZES;
import static io.jacquard.tensor.spi.Trial.constant;
import static io.jacquard.tensor.spi.Trial.normal;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.spi.Trial.Operand;
import io.jacquard.tensor.spi.Trial.Table;

/// Element by element, and sums.
final class PointwiseCases {
    private static final int[][] ROWS = {
        {1, 1},
        {2, 7},
        {7, 31},
        {3, 32},
        {33, 33},
        {31, 127},
        {7, 256},
        {40, 520},
        {300, 2},
        {5, 300},
        {2, 1023},
        {1023, 32}
    };

    private PointwiseCases() {}

    static void into(Table table) {
        for (DType dtype : FLOATS) {
            for (int n : SIZES) {
                exact(table, dtype, n);
                gelu(table, dtype, n);
                sum(table, dtype, n);
            }
            for (float beta = 0; beta <= 1; beta++) {
                for (int n : SIZES) {
                    withBeta(table, dtype, n, beta);
                }
                for (int[] rows : ROWS) {
                    swiGluGrad(table, dtype, rows[0], rows[1], beta);
                    sumRows(table, dtype, rows[0], rows[1], beta);
                }
            }
            for (int[] rows : ROWS) {
                rows(table, dtype, rows[0], rows[1]);
            }
            sumRows(table, dtype, 5300, 32, 1); // more rows than a small grid takes at once
        }
    }

    private static void exact(Table table, DType dtype, int n) {
        table.add("add", n + " " + dtype, t -> {
            Operand x = t.in("x", dtype, normal(1), n);
            Operand y = t.in("y", dtype, normal(1), n);
            Operand out = t.out("out", dtype, n);
            t.run(k -> k.add(out.tensor(), x.tensor(), y.tensor()));
            t.expectExactly(out, Reference.map(Arithmetic.EXACT, n, (_, i) -> x.initial()[i] + y.initial()[i]));
        });
        for (float factor : new float[] {1f, 2f, 0.3f}) {
            table.add("scale", n + " by " + factor + " " + dtype, t -> {
                Operand x = t.in("x", dtype, normal(1), n);
                Operand f = t.in("factor", DType.F32, constant(factor), 1);
                Operand out = t.out("out", dtype, n);
                t.run(k -> k.scale(out.tensor(), x.tensor(), f.tensor()));
                t.expectExactly(out, Reference.map(Arithmetic.naive(), n, (m, i) -> m.mul(x.initial()[i], factor)));
            });
            table.add("scale", n + " by " + factor + " in place " + dtype, t -> {
                Operand f = t.in("factor", DType.F32, constant(factor), 1);
                Operand x = t.in("x", dtype, normal(1), n);
                t.run(k -> k.scale(x.tensor(), x.tensor(), f.tensor()));
                t.expectExactly(x, Reference.map(Arithmetic.naive(), n, (m, i) -> m.mul(x.initial()[i], factor)));
            });
        }
        table.add("axpby", n + " in place " + dtype, t -> {
            Operand x = t.in("x", dtype, normal(1), n);
            t.run(k -> k.axpby(x.tensor(), -0.3f, x.tensor(), 0f));
            t.expectExactly(x, Reference.map(Arithmetic.naive(), n, (m, i) -> m.mul(-0.3f, x.initial()[i])));
        });
    }

    private static void gelu(Table table, DType dtype, int n) {
        table.add("gelu", n + " " + dtype, t -> {
            Operand x = t.in("x", dtype, normal(3), n);
            Operand out = t.out("out", dtype, n);
            t.run(k -> k.gelu(out.tensor(), x.tensor()));
            t.expect(out, m -> Reference.map(m, n, (_, i) -> Reference.gelu(m, x.initial()[i])));
        });
        table.add("gelu", n + " in place " + dtype, t -> {
            Operand x = t.in("x", dtype, normal(3), n);
            t.run(k -> k.gelu(x.tensor(), x.tensor()));
            t.expect(x, m -> Reference.map(m, n, (_, i) -> Reference.gelu(m, x.initial()[i])));
        });
        table.add("geluGrad", n + " in place " + dtype, t -> {
            Operand dy = t.in("dy", dtype, normal(1), n);
            Operand x = t.in("x", dtype, normal(3), n);
            t.run(k -> k.geluGrad(x.tensor(), dy.tensor(), x.tensor(), 0f));
            t.expect(x, m -> Reference.map(m, n, (_, i) -> Reference.geluGrad(m, dy.initial()[i], x.initial()[i])));
        });
    }

    private static void sum(Table table, DType dtype, int n) {
        table.add("sum", n + " " + dtype, t -> {
            Operand x = t.in("x", dtype, normal(0.5, 1), n);
            Operand out = t.out("out", DType.F32, 1);
            t.run(k -> k.sum(out.tensor(), x.tensor()));
            t.expect(out, m -> new double[] {Reference.sum(m, x.initial())});
        });
    }

    private static void withBeta(Table table, DType dtype, int n, float beta) {
        for (DType result : MovingCases.results(dtype)) {
            table.add("axpby", n + " " + dtype + " into " + result + " beta " + beta, t -> {
                Operand x = t.in("x", dtype, normal(1), n);
                Operand out = t.out("out", result, beta, n);
                t.run(k -> k.axpby(out.tensor(), 0.7f, x.tensor(), beta));
                t.expect(out, beta, m -> Reference.map(m, n, (_, i) -> m.mul(0.7f, x.initial()[i])));
            });
        }
        table.add("mul", n + " " + dtype + " beta " + beta, t -> {
            Operand x = t.in("x", dtype, normal(1), n);
            Operand y = t.in("y", dtype, normal(1), n);
            Operand out = t.out("out", dtype, beta, n);
            t.run(k -> k.mul(out.tensor(), x.tensor(), y.tensor(), beta));
            t.expect(out, beta, m -> Reference.map(m, n, (_, i) -> m.mul(x.initial()[i], y.initial()[i])));
        });
        table.add("geluGrad", n + " " + dtype + " beta " + beta, t -> {
            Operand dy = t.in("dy", dtype, normal(1), n);
            Operand x = t.in("x", dtype, normal(3), n);
            Operand dx = t.out("dx", dtype, beta, n);
            t.run(k -> k.geluGrad(dx.tensor(), dy.tensor(), x.tensor(), beta));
            t.expect(
                    dx,
                    beta,
                    m -> Reference.map(m, n, (_, i) -> Reference.geluGrad(m, dy.initial()[i], x.initial()[i])));
        });
    }

    private static void rows(Table table, DType dtype, int n, int c) {
        String name = n + "x" + c + " " + dtype;
        table.add("addRow", name, t -> {
            Operand x = t.in("x", dtype, normal(1), n, c);
            Operand row = t.in("row", dtype, normal(1), c);
            Operand out = t.out("out", dtype, n, c);
            t.run(k -> k.addRow(out.tensor(), x.tensor(), row.tensor()));
            t.expectExactly(
                    out, Reference.map(Arithmetic.EXACT, n * c, (_, i) -> x.initial()[i] + row.initial()[i % c]));
        });
        table.add("swiGlu", name, t -> {
            Operand x = t.in("x", dtype, normal(3), n, 2 * c);
            Operand out = t.out("out", dtype, n, c);
            t.run(k -> k.swiGlu(out.tensor(), x.tensor()));
            t.expect(out, m -> Reference.swiGlu(m, x.initial(), c));
        });
    }

    private static void swiGluGrad(Table table, DType dtype, int n, int c, float beta) {
        table.add("swiGluGrad", n + "x" + c + " " + dtype + " beta " + beta, t -> {
            Operand dy = t.in("dy", dtype, normal(1), n, c);
            Operand x = t.in("x", dtype, normal(3), n, 2 * c);
            Operand dx = t.out("dx", dtype, beta, n, 2 * c);
            t.run(k -> k.swiGluGrad(dx.tensor(), dy.tensor(), x.tensor(), beta));
            t.expect(dx, beta, m -> Reference.swiGluGrad(m, dy.initial(), x.initial(), c));
        });
    }

    private static void sumRows(Table table, DType dtype, int n, int c, float beta) {
        for (DType result : MovingCases.results(dtype)) {
            table.add("sumRows", n + "x" + c + " " + dtype + " into " + result + " beta " + beta, t -> {
                Operand x = t.in("x", dtype, normal(1), n, c);
                Operand out = t.out("out", result, beta, c);
                t.run(k -> k.sumRows(out.tensor(), x.tensor(), beta));
                t.expect(out, beta, m -> Reference.sumRows(m, x.initial(), c));
            });
        }
    }
}
