package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.jacquard.cuda.MatmulPlan.Path;
import io.jacquard.cuda.MatmulPlan.Tile;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Every tile with every transposition, whatever the plan of a shape would be: several tiles with tails in m, n and k,
/// more k-tiles than stages. Operands are small integers, so that every sum is exact and results must be equal.
@TestInstance(Lifecycle.PER_CLASS)
final class MatmulTilesTest {
    /// More than any kernel has.
    private static final int STAGES = 6;

    private Session session;

    @BeforeAll
    void open() {
        session = EmulatedDevice.open(90);
    }

    @AfterAll
    void close() {
        session.close();
    }

    @ParameterizedTest
    @EnumSource(Tile.class)
    void accumulatesIntoF32(Tile tile) {
        for (int t = 0; t < transpositions(tile); t++) {
            new Product(tile, 1, dtype(tile), t, true).accumulate().check();
        }
    }

    @ParameterizedTest
    @EnumSource(Tile.class)
    void addsBiasAndRounds(Tile tile) {
        for (int t = 0; t < transpositions(tile); t++) {
            new Product(tile, 1, t % 2 == 0 ? dtype(tile) : other(tile), t, false)
                    .bias()
                    .check();
        }
    }

    @ParameterizedTest
    @EnumSource(Tile.class)
    void takesGeluOfTheSum(Tile tile) {
        new Product(tile, 1, dtype(tile), 1, false).bias().accumulate().gelu().check();
        new Product(tile, 1, other(tile), 1, false).gelu().check();
    }

    @ParameterizedTest
    @EnumSource(Tile.class)
    void splitsAreAddedUp(Tile tile) {
        new Product(tile, 3, dtype(tile), 2, true).accumulate().check();
        new Product(tile, 2, other(tile), 1, false).bias().gelu().check();
    }

    /// Rows of the result that start anywhere, although the operands can be fetched: a vocabulary of 50257.
    @ParameterizedTest
    @EnumSource(Tile.class)
    void oddColumns(Tile tile) {
        new Product(tile, 1, dtype(tile), 1, false, 3).bias().check();
        new Product(tile, 2, dtype(tile), 1, true, 5).accumulate().check();
    }

    private static int transpositions(Tile tile) {
        return tile == Tile.MMA_128 || tile == Tile.TMA_256 ? 3 : 4;
    }

    private static DType dtype(Tile tile) {
        return tile.path == Path.SIMT ? DType.F32 : DType.BF16;
    }

    private static DType other(Tile tile) {
        return tile == Tile.SIMT_128 ? DType.F32 : DType.F16;
    }

    /// One product and its check.
    private final class Product {
        private final MatmulPlan plan;
        private final DType dtype;
        private final DType result;
        private final boolean ta;
        private final boolean tb;
        private final int m;
        private final int n;
        private final int k;
        private final SplittableRandom random = new SplittableRandom(7);
        private boolean accumulate;
        private boolean bias;
        private boolean gelu;

        Product(Tile tile, int splits, DType dtype, int transpositions, boolean floats) {
            this(tile, splits, dtype, transpositions, floats, 8);
        }

        Product(Tile tile, int splits, DType dtype, int transpositions, boolean floats, int tail) {
            this.plan = new MatmulPlan(tile, splits);
            this.dtype = dtype;
            this.result = floats ? DType.F32 : dtype;
            this.ta = (transpositions & 2) != 0;
            this.tb = (transpositions & 1) != 0;
            this.m = tile.height + 8;
            this.n = tile.width + tail;
            this.k = tile.depth * (STAGES + 2) + 8;
        }

        Product accumulate() {
            accumulate = true;
            return this;
        }

        Product bias() {
            bias = true;
            return this;
        }

        Product gelu() {
            gelu = true;
            return this;
        }

        void check() {
            try (var _ = Scope.open("product")) {
                float[] a = integers(m * k);
                float[] b = integers(k * n);
                float[] y = accumulate ? integers(m * n) : new float[m * n];
                float[] row = bias ? integers(n) : new float[n];
                float[] before = y.clone();
                Tensor out = tensor(result, accumulate ? y : filled(m * n), m, n);
                Tensor pre = gelu ? tensor(dtype, filled(m * n), m, n) : null;
                Epilogue epilogue = new Epilogue(bias ? tensor(dtype, row, n) : null, pre);
                Tensor left = ta ? tensor(dtype, a, k, m) : tensor(dtype, a, m, k);
                Tensor right = tb ? tensor(dtype, b, n, k) : tensor(dtype, b, k, n);
                CudaBackend backend = (CudaBackend) session.backend();
                new MatmulKernels(backend.launcher(), (_, _, _, _) -> plan)
                        .matmul(out, left, ta, right, tb, accumulate ? 1 : 0, epilogue);
                float[] expected = product(a, b, before, row);
                if (pre == null) {
                    assertArrayEquals(rounded(expected, result), out.toFloats(), this::toString);
                } else {
                    assertArrayEquals(rounded(expected, dtype), pre.toFloats(), this::toString);
                    checkGelu(expected, out.toFloats());
                }
            }
        }

        private void checkGelu(float[] x, float[] got) {
            for (int i = 0; i < x.length; i++) {
                double u = Math.sqrt(2 / Math.PI) * (x[i] + 0.044715 * Math.pow(x[i], 3));
                double y = 0.5 * x[i] * (1 + Math.tanh(u));
                double ulps = dtype == DType.F32 ? 1e-6 : dtype == DType.F16 ? 1e-3 : 8e-3;
                assertEquals(y, got[i], ulps * Math.max(1, Math.abs(y)), this::toString);
            }
        }

        private float[] product(float[] a, float[] b, float[] before, float[] row) {
            float[] y = new float[m * n];
            for (int i = 0; i < m; i++) {
                for (int x = 0; x < k; x++) {
                    float ax = ta ? a[x * m + i] : a[i * k + x];
                    for (int j = 0; j < n; j++) {
                        y[i * n + j] += ax * (tb ? b[j * k + x] : b[x * n + j]);
                    }
                }
                for (int j = 0; j < n; j++) {
                    y[i * n + j] += before[i * n + j] + row[j];
                }
            }
            return y;
        }

        private float[] rounded(float[] x, DType to) {
            return tensor(to, x, x.length).toFloats();
        }

        private Tensor tensor(DType to, float[] values, int... dims) {
            Tensor x = Tensor.of(Shape.of(dims), values);
            if (to == DType.F32) {
                return x;
            }
            Tensor y = Tensor.empty(x.shape(), to);
            x.kernels().cast(y, x);
            return y;
        }

        private float[] integers(int count) {
            float[] x = new float[count];
            for (int i = 0; i < count; i++) {
                x[i] = random.nextInt(-2, 3);
            }
            return x;
        }

        private static float[] filled(int count) {
            float[] x = new float[count];
            Arrays.fill(x, Float.NaN);
            return x;
        }

        @Override
        public String toString() {
            return plan + " " + m + "x" + n + "x" + k + (ta ? " a^T" : " a") + (tb ? " b^T " : " b ") + dtype + " into "
                    + result + (accumulate ? " accumulated" : "") + (bias ? " bias" : "") + (gelu ? " gelu" : "");
        }
    }
}
