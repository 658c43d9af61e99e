package io.jacquard.quantize;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.Session;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

final class Int4RoundingTest {
    private static final int ROWS = 24;
    private static final int COLUMNS = 64;

    private final SplittableRandom random = new SplittableRandom(3);

    private float[] normal(int n) {
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /// `xᵀ x` of inputs that depend on one another, as activations do.
    private float[] correlated(int n) {
        int samples = 4 * n;
        double[][] x = new double[samples][n];
        for (double[] row : x) {
            double common = random.nextGaussian();
            for (int i = 0; i < n; i++) {
                row[i] = common + 0.5 * random.nextGaussian() + (i > 0 ? 0.5 * row[i - 1] : 0);
            }
        }
        float[] h = new float[n * n];
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                double sum = 0;
                for (double[] row : x) {
                    sum += row[i] * row[j];
                }
                h[i * n + j] = (float) sum;
            }
        }
        return h;
    }

    @Test
    void nearestIsTheNearestOfItsGroup() {
        float[] w = {7, -3.4f, 0.6f, 0, /* a group of its own */ 0.07f, 0.034f, -0.07f, 0.006f};
        Int4Matrix q = Int4Rounding.NEAREST.round(w, 1, 8, 4, true, new float[0]);
        assertArrayEquals(new byte[] {7, -3, 1, 0, 7, 3, -7, 1}, q.values());
        assertArrayEquals(new float[] {1, 0.01f}, q.scales(), 1e-9f);
        assertEquals(-0.07f, q.at(0, 6), 1e-7f);
    }

    @Test
    void zerosMoveTheRange() {
        float[] w = {0, 1, 14, 15};
        Int4Matrix q = Int4Rounding.NEAREST.round(w, 1, 4, 4, false, new float[0]);
        assertArrayEquals(new byte[] {-8, -7, 6, 7}, q.values());
        assertArrayEquals(new byte[] {-8}, q.zeros());
        assertArrayEquals(w, q.dequantized());
        float[] negative = {-15, -1, 0, -2};
        assertArrayEquals(
                negative,
                Int4Rounding.NEAREST
                        .round(negative, 1, 4, 4, false, new float[0])
                        .dequantized());
    }

    @Test
    void groupsOfZerosStayZeros() {
        for (boolean symmetric : new boolean[] {true, false}) {
            float[] w = new float[8];
            assertArrayEquals(
                    w,
                    Int4Rounding.NEAREST
                            .round(w, 2, 4, 4, symmetric, new float[0])
                            .dequantized());
        }
    }

    /// After each column the rest of a row is where its error is least, given the columns that are rounded: solved
    /// here by Gaussian elimination, every time anew.
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void compensationIsTheLeastError(boolean symmetric) {
        int n = 12;
        float[] h = correlated(n);
        float[] w = normal(3 * n);
        Int4Matrix q = Int4Rounding.COMPENSATED.round(w, 3, n, 4, symmetric, h);
        double[] damped = Int4Rounding.damped(h, n);
        Int4Matrix expected = Int4Matrix.empty(3, n, 4, symmetric);
        for (int r = 0; r < 3; r++) {
            double[] row = new double[n];
            for (int c = 0; c < n; c++) {
                double[] d = new double[n]; // of what is rounded
                for (int k = 0; k < c; k++) {
                    d[k] = expected.at(r, k) - w[r * n + k];
                }
                double[] rest = solve(damped, d, c, n);
                for (int k = c; k < n; k++) {
                    row[k] = w[r * n + k] + rest[k];
                }
                if (c % 4 == 0) {
                    expected.range(r, c / 4, row, c);
                }
                expected.round(r, c, row[c]);
            }
        }
        assertArrayEquals(expected.values(), q.values());
        assertArrayEquals(expected.scales(), q.scales(), 1e-5f);
    }

    /// The `d` from `c` on that minimizes `dᵀ h d`, those before being given.
    private static double[] solve(double[] h, double[] d, int c, int n) {
        int m = n - c;
        double[][] a = new double[m][m + 1];
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < m; j++) {
                a[i][j] = h[(c + i) * n + c + j];
            }
            for (int k = 0; k < c; k++) {
                a[i][m] -= h[(c + i) * n + k] * d[k];
            }
        }
        for (int p = 0; p < m; p++) {
            for (int i = 0; i < m; i++) {
                double f = i == p ? 0 : a[i][p] / a[p][p];
                for (int j = p; f != 0 && j <= m; j++) {
                    a[i][j] -= f * a[p][j];
                }
            }
        }
        double[] solved = new double[n];
        for (int i = 0; i < m; i++) {
            solved[c + i] = a[i][m] / a[i][i];
        }
        return solved;
    }

    @ParameterizedTest
    @EnumSource(
            value = Int4Rounding.class,
            names = {"COMPENSATED", "LEARNED"})
    void dataMakesTheErrorOfOutputsSmaller(Int4Rounding rounding) {
        try (Session _ = Session.open("cpu")) {
            float[] h = correlated(COLUMNS);
            float[] w = normal(ROWS * COLUMNS);
            double nearest = error(Int4Rounding.NEAREST, w, h);
            double found = error(rounding, w, h);
            assertTrue(found < 0.5 * nearest, rounding + ": " + found + ", to nearest " + nearest);
        }
    }

    private static double error(Int4Rounding rounding, float[] w, float[] h) {
        float[] q = rounding.round(w, ROWS, COLUMNS, 32, true, h).dequantized();
        float[] d = new float[w.length];
        for (int i = 0; i < w.length; i++) {
            d[i] = q[i] - w[i];
        }
        double error = Int4Rounding.error(d, h, ROWS, COLUMNS);
        assertEquals(direct(d, h), error, 1e-4 * error);
        return error;
    }

    private static double direct(float[] d, float[] h) {
        double sum = 0;
        for (int r = 0; r < ROWS; r++) {
            for (int i = 0; i < COLUMNS; i++) {
                for (int j = 0; j < COLUMNS; j++) {
                    sum += (double) d[r * COLUMNS + i] * h[i * COLUMNS + j] * d[r * COLUMNS + j];
                }
            }
        }
        return sum;
    }

    @Test
    void learnedValuesAreNeighboursOfTheWeights() {
        try (Session _ = Session.open("cpu")) {
            float[] w = normal(ROWS * COLUMNS);
            Int4Matrix q = Int4Rounding.LEARNED.round(w, ROWS, COLUMNS, 32, true, correlated(COLUMNS));
            for (int i = 0; i < w.length; i++) {
                double steps = w[i] / q.scales()[i / 32];
                assertTrue(Math.abs(q.values()[i] - steps) < 1 + 1e-5, "element " + i);
            }
        }
    }

    @Test
    void theFactorIsThatOfTheInverse() {
        int n = 33;
        double[] a = Int4Rounding.damped(correlated(n), n);
        double[] u = Cholesky.upperOfInverse(a.clone(), n);
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n; j++) {
                double sum = 0; // of uᵀ u a
                for (int k = 0; k < n; k++) {
                    double uu = 0;
                    for (int l = 0; l <= Math.min(i, k); l++) {
                        uu += u[l * n + i] * u[l * n + k];
                    }
                    sum += uu * a[k * n + j];
                }
                assertEquals(i == j ? 1 : 0, sum, 1e-8);
                assertTrue(j >= i || u[i * n + j] == 0, "not upper");
            }
        }
    }

    @Test
    void messages() {
        assertEquals(
                "int4: rows of 6 do not divide into groups of 4; expected a divisor",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> Int4Rounding.NEAREST.round(new float[12], 2, 6, 4, true, new float[0]))
                        .getMessage());
        assertEquals(
                "int4: 8 values and 1 scales for [2, 4] in groups of 4",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> new Int4Matrix(2, 4, 4, new byte[8], new float[1], null))
                        .getMessage());
        assertEquals(
                "cholesky: column 1 of 2 leaves 0.0; expected a positive definite matrix",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> Cholesky.upperOfInverse(new double[] {1, 1, 1, 1}, 2))
                        .getMessage());
    }
}
