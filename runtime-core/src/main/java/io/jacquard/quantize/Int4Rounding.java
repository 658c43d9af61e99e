package io.jacquard.quantize;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import java.util.Arrays;
import java.util.stream.IntStream;

/// Ways to choose the four-bit values of a weight. Those that look at calibration data want the weight's outputs to
/// change as little as can be: with `h = xᵀ x` of its inputs, `[in, in]`, the error of a row is `d h dᵀ`, `d` being how
/// far the rounded row is from the exact one.
public enum Int4Rounding {
    /// Each weight to the nearest value.
    NEAREST("rtn") {
        @Override
        void choose(Int4Matrix q, double[] w, float[] h) {
            rows(q, r -> {
                scales(q, w, r);
                for (int c = 0; c < q.columns(); c++) {
                    q.round(r, c, w[r * q.columns() + c]);
                }
            });
        }
    },

    /// Column by column, each one's error made up for by the columns that are still exact (GPTQ: Frantar et al.,
    /// arXiv:2210.17323). A group's scale is that of its weights when it comes to them.
    COMPENSATED("gptq") {
        @Override
        void choose(Int4Matrix q, double[] w, float[] h) {
            int n = q.columns();
            double[] upper = Cholesky.upperOfInverse(damped(h, n), n);
            rows(q, r -> {
                double[] row = Arrays.copyOfRange(w, r * n, (r + 1) * n);
                for (int c = 0; c < n; c++) {
                    if (c % q.group() == 0) {
                        q.range(r, c / q.group(), row, c);
                    }
                    q.round(r, c, row[c]);
                    double error = (row[c] - q.at(r, c)) / upper[c * n + c];
                    for (int k = c + 1; k < n; k++) {
                        row[k] -= error * upper[c * n + k];
                    }
                }
            });
        }
    },

    /// Whether each weight goes down or up is learned by gradient descent on its error, while a regularizer drives
    /// the choices to either (AdaRound: Nagel et al., arXiv:2004.10568).
    LEARNED("adaround") {
        @Override
        void choose(Int4Matrix q, double[] w, float[] h) {
            rows(q, r -> scales(q, w, r));
            new LearnedRounding(q, w, h).run();
        }
    };

    /// Added to the diagonal of `h`, of its mean: what calibration data never showed must not be free to change.
    private static final double DAMPING = 0.01;

    private final String label;

    Int4Rounding(String label) {
        this.label = label;
    }

    /// The name in options.
    public String label() {
        return label;
    }

    /// Whether it needs calibration data.
    public boolean needsData() {
        return this != NEAREST;
    }

    abstract void choose(Int4Matrix q, double[] w, float[] h);

    /// Rounds the weight `w` `[rows, columns]`.
    ///
    /// @param h `xᵀ x` of its inputs, `[columns, columns]`; of no use to [#NEAREST], which may get an empty one
    /// @throws IllegalArgumentException if groups do not divide the rows
    public Int4Matrix round(float[] w, int rows, int columns, int group, boolean symmetric, float[] h) {
        Int4Matrix q = Int4Matrix.empty(rows, columns, group, symmetric);
        double[] exact = new double[w.length];
        for (int i = 0; i < w.length; i++) {
            exact[i] = w[i];
        }
        choose(q, exact, h);
        return q;
    }

    static void scales(Int4Matrix q, double[] w, int row) {
        for (int g = 0; g < q.groups(); g++) {
            q.range(row, g, w, row * q.columns() + g * q.group());
        }
    }

    /// Something to do for a row.
    interface Row {
        void at(int row);
    }

    static void rows(Int4Matrix q, Row row) {
        IntStream.range(0, q.rows()).parallel().forEach(row::at);
    }

    /// `h` with something on its diagonal; inputs that were always 0 count as any other.
    static double[] damped(float[] h, int n) {
        double[] d = new double[n * n];
        double mean = 0;
        for (int i = 0; i < n; i++) {
            mean += h[i * n + i] / (double) n;
        }
        for (int i = 0; i < n * n; i++) {
            d[i] = h[i];
        }
        for (int i = 0; i < n; i++) {
            d[i * n + i] += mean > 0 ? DAMPING * mean : 1;
        }
        return d;
    }

    /// The sum over the rows of `d h dᵀ`, of `d` `[rows, columns]`.
    static double error(float[] d, float[] h, int rows, int columns) {
        try (var _ = Scope.openWithoutGrad("error of a weight")) {
            Tensor dt = Tensor.of(Shape.of(rows, columns), d);
            Tensor product = Tensor.empty(dt.shape(), DType.F32);
            Tensor ht = Tensor.of(Shape.of(columns, columns), h);
            product.kernels().matmul(product, dt, false, ht, false, 0f, Epilogue.NONE);
            float[] p = product.toFloats();
            double sum = 0;
            for (int i = 0; i < p.length; i++) {
                sum += (double) p[i] * d[i];
            }
            return sum;
        }
    }
}
