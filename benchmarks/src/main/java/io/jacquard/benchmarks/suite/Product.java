package io.jacquard.benchmarks.suite;

import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// A matrix product to be compared with doubles: `out = op(a) op(b) + bias`, or its GELU with `pre` before it.
record Product(
        Tensor out,
        Tensor a,
        boolean ta,
        Tensor b,
        boolean tb,
        @Nullable Tensor bias,
        @Nullable Tensor pre) {
    private static final int PATCH = 16;

    Product(Tensor out, Tensor a, boolean ta, Tensor b, boolean tb) {
        this(out, a, ta, b, tb, null, null);
    }

    /// Adds some of its elements next to their exact values.
    void compare(Deviation d) {
        int rows = Math.toIntExact(out.size() / Operands.columns(out));
        int columns = Operands.columns(out);
        int r = Math.min(PATCH, rows);
        int c = Math.min(PATCH, columns);
        // the corners of one diagonal and the middle: an operand's column costs a copy for each of its elements
        int[] i = Operands.places(rows);
        int[] j = Operands.places(columns);
        for (int p = 0; p < Math.min(i.length, j.length); p++) {
            patch(d, Math.min(i[p], rows - r), r, Math.min(j[p], columns - c), c);
        }
    }

    private void patch(Deviation d, int i0, int rows, int j0, int columns) {
        double[][] left = lines(a, ta, i0, rows);
        double[][] right = lines(b, !tb, j0, columns);
        double[] shift = bias == null ? new double[columns] : Operands.read(bias, j0, columns);
        int width = Operands.columns(out);
        for (int i = 0; i < rows; i++) {
            double[] got = Operands.read(out, (long) (i0 + i) * width + j0, columns);
            double[] before = pre == null ? null : Operands.read(pre, (long) (i0 + i) * width + j0, columns);
            for (int j = 0; j < columns; j++) {
                double exact = shift[j];
                for (int k = 0; k < left[i].length; k++) {
                    exact += left[i][k] * right[j][k];
                }
                if (before != null) {
                    d.add(before[j], exact);
                    exact = ActivationCase.gelu(exact);
                }
                d.add(got[j], exact);
            }
        }
    }

    /// `count` vectors along the inner dimension: rows of `t`, or columns when it is `across`.
    private static double[][] lines(Tensor t, boolean across, int from, int count) {
        int width = Operands.columns(t);
        int inner = across ? Math.toIntExact(t.size() / width) : width;
        double[][] lines = new double[count][];
        if (!across) {
            for (int i = 0; i < count; i++) {
                lines[i] = Operands.row(t, from + i);
            }
            return lines;
        }
        for (int i = 0; i < count; i++) {
            lines[i] = new double[inner];
        }
        for (int k = 0; k < inner; k++) {
            double[] piece = Operands.read(t, (long) k * width + from, count);
            for (int i = 0; i < count; i++) {
                lines[i][k] = piece[i];
            }
        }
        return lines;
    }
}
