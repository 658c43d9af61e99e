package io.jacquard.tensor.spi;

/// What the element-by-element kernels and the reductions compute, written plainly. [ReferenceRows] and
/// [ReferenceAttention] have the rest. Arrays are row-major; [Arithmetic] decides the precision.
final class Reference {
    private static final double GELU_SCALE = Math.sqrt(2 / Math.PI);
    private static final double GELU_CUBE = 0.044715;

    private Reference() {}

    /// One output element from the arithmetic and its index.
    interface Element {
        double at(Arithmetic m, int i);
    }

    static double[] map(Arithmetic m, int n, Element element) {
        double[] y = new double[n];
        for (int i = 0; i < n; i++) {
            y[i] = element.at(m, i);
        }
        return y;
    }

    static double gelu(Arithmetic m, double x) {
        return m.mul(m.mul(0.5, x), m.add(1, geluTanh(m, x)));
    }

    private static double geluTanh(Arithmetic m, double x) {
        double cube = m.mul(m.mul(m.mul(GELU_CUBE, x), x), x);
        return m.tanh(m.mul(GELU_SCALE, m.add(x, cube)));
    }

    static double geluGrad(Arithmetic m, double dy, double x) {
        double t = geluTanh(m, x);
        double inner = m.mul(GELU_SCALE, m.add(1, m.mul(m.mul(3 * GELU_CUBE, x), x)));
        double left = m.mul(0.5, m.add(1, t));
        double right = m.mul(m.mul(m.mul(0.5, x), m.add(1, -m.mul(t, t))), inner);
        return m.mul(dy, m.add(left, right));
    }

    static double sigmoid(Arithmetic m, double x) {
        return m.div(1, m.add(1, m.exp(-x)));
    }

    static double[] swiGlu(Arithmetic m, double[] x, int f) {
        return map(m, x.length / 2, (_, i) -> {
            int row = i / f * 2 * f;
            double gate = x[row + i % f];
            return m.mul(m.mul(gate, sigmoid(m, gate)), x[row + f + i % f]);
        });
    }

    static double[] swiGluGrad(Arithmetic m, double[] dy, double[] x, int f) {
        double[] dx = new double[x.length];
        for (int i = 0; i < dy.length; i++) {
            int gateAt = i / f * 2 * f + i % f;
            double gate = x[gateAt];
            double up = x[gateAt + f];
            double s = sigmoid(m, gate);
            double silu = m.mul(gate, s);
            double slope = m.add(s, m.mul(silu, m.add(1, -s)));
            dx[gateAt] = m.mul(m.mul(dy[i], up), slope);
            dx[gateAt + f] = m.mul(dy[i], silu);
        }
        return dx;
    }

    /// `op(a) op(b)`, `[rows, columns]`.
    static double[] matmul(
            Arithmetic m, double[] a, boolean ta, double[] b, boolean tb, int rows, int columns, int inner) {
        double[] y = new double[rows * columns];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                double sum = 0;
                for (int k = 0; k < inner; k++) {
                    double x = ta ? a[k * rows + i] : a[i * inner + k];
                    double w = tb ? b[j * inner + k] : b[k * columns + j];
                    sum = m.fma(x, w, sum);
                }
                y[i * columns + j] = sum;
            }
        }
        return y;
    }

    static double sum(Arithmetic m, double[] x) {
        return m.sum(x.length, i -> x[i]);
    }

    static double[] sumRows(Arithmetic m, double[] x, int c) {
        double[] y = new double[c];
        for (int i = 0; i < x.length; i++) {
            y[i % c] = m.add(y[i % c], x[i]);
        }
        return y;
    }

    static double norm(Arithmetic m, double[] x) {
        return m.sqrt(m.sum(x.length, i -> m.mul(x[i], x[i])));
    }
}
