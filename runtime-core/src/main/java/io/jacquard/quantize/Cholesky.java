package io.jacquard.quantize;

import java.util.stream.IntStream;

/// Of symmetric positive definite matrices, row-major, in double precision.
final class Cholesky {
    private Cholesky() {}

    /// The upper triangular `u` with `uᵀ u = a⁻¹`; `a` is lost. With `a = J l lᵀ J`, `J` turning the order of rows
    /// and columns round, `u = J l⁻¹ J`: no inverse is ever made whole.
    ///
    /// @throws IllegalArgumentException if `a` is not positive definite
    static double[] upperOfInverse(double[] a, int n) {
        double[] turned = turned(a, n);
        factor(turned, n);
        return turned(inverse(turned, n), n);
    }

    private static double[] turned(double[] a, int n) {
        double[] t = new double[n * n];
        for (int i = 0; i < n * n; i++) {
            t[i] = a[n * n - 1 - i];
        }
        return t;
    }

    /// The lower triangular `l` with `l lᵀ = a`, in the place of `a`; zeros above.
    private static void factor(double[] a, int n) {
        for (int j = 0; j < n; j++) {
            int column = j;
            double d = a[j * n + j] - dot(a, j * n, j * n, j);
            if (!(d > 0)) {
                throw new IllegalArgumentException("cholesky: column " + j + " of " + n + " leaves " + d
                        + "; expected a positive definite matrix");
            }
            double root = Math.sqrt(d);
            a[j * n + j] = root;
            IntStream.range(j + 1, n).parallel().forEach(i -> {
                a[i * n + column] = (a[i * n + column] - dot(a, i * n, column * n, column)) / root;
                a[column * n + i] = 0;
            });
        }
    }

    private static double dot(double[] a, int x, int y, int n) {
        double sum = 0;
        for (int k = 0; k < n; k++) {
            sum += a[x + k] * a[y + k];
        }
        return sum;
    }

    /// The inverse of a lower triangular matrix, column by column.
    private static double[] inverse(double[] l, int n) {
        double[] inverse = new double[n * n];
        IntStream.range(0, n).parallel().forEach(c -> {
            double[] x = new double[n];
            x[c] = 1 / l[c * n + c];
            for (int r = c + 1; r < n; r++) {
                double sum = 0;
                for (int k = c; k < r; k++) {
                    sum += l[r * n + k] * x[k];
                }
                x[r] = -sum / l[r * n + r];
            }
            for (int r = c; r < n; r++) {
                inverse[r * n + c] = x[r];
            }
        });
        return inverse;
    }
}
