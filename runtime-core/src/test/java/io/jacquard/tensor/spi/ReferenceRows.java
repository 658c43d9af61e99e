package io.jacquard.tensor.spi;

/// Norms, softmax, cross entropy: each row of `c` elements on its own.
final class ReferenceRows {
    private ReferenceRows() {}

    static double[] mean(Arithmetic m, double[] x, int c) {
        double[] y = new double[x.length / c];
        for (int n = 0; n < y.length; n++) {
            int row = n * c;
            y[n] = m.div(m.sum(c, i -> x[row + i]), c);
        }
        return y;
    }

    /// `1 / sqrt(variance + epsilon)`, the variance around `mean` (zeros for RMSNorm), by the two-pass formula.
    static double[] rstd(Arithmetic m, double[] x, int c, double[] mean, double epsilon) {
        double[] y = new double[x.length / c];
        for (int n = 0; n < y.length; n++) {
            int row = n * c;
            double centre = mean[n];
            double sum = m.sum(c, i -> {
                double d = m.add(x[row + i], -centre);
                return m.mul(d, d);
            });
            y[n] = m.div(1, m.sqrt(m.add(m.div(sum, c), epsilon)));
        }
        return y;
    }

    static double[] layerNorm(Arithmetic m, double[] x, int c, double[] weight, double[] bias, double epsilon) {
        double[] mean = mean(m, x, c);
        return normed(m, x, c, mean, rstd(m, x, c, mean, epsilon), weight, bias);
    }

    static double[] rmsNorm(Arithmetic m, double[] x, int c, double[] weight, double epsilon) {
        double[] zero = new double[x.length / c];
        return normed(m, x, c, zero, rstd(m, x, c, zero, epsilon), weight, new double[c]);
    }

    private static double[] normed(
            Arithmetic m, double[] x, int c, double[] mean, double[] rstd, double[] weight, double[] bias) {
        double[] y = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            double hat = m.mul(m.add(x[i], -mean[i / c]), rstd[i / c]);
            y[i] = m.fma(hat, weight[i % c], bias[i % c]);
        }
        return y;
    }

    /// `dx` of LayerNorm: `rstd (g - mean(g) - hat mean(g hat))`, `g = dy weight`; without mean for RMSNorm
    /// (`centred` false).
    static double[] normGrad(
            Arithmetic m,
            double[] dy,
            double[] x,
            int c,
            double[] mean,
            double[] rstd,
            double[] weight,
            boolean centred) {
        double[] dx = new double[x.length];
        for (int n = 0; n < x.length / c; n++) {
            int row = n * c;
            int r = n;
            double sumG = m.sum(c, i -> m.mul(dy[row + i], weight[i]));
            double sumGHat = m.sum(c, i -> m.mul(m.mul(dy[row + i], weight[i]), hat(m, x[row + i], mean[r], rstd[r])));
            double meanG = centred ? m.div(sumG, c) : 0;
            double meanGHat = m.div(sumGHat, c);
            for (int i = n * c; i < n * c + c; i++) {
                double g = m.add(m.mul(dy[i], weight[i % c]), -meanG);
                dx[i] = m.mul(rstd[n], m.add(g, -m.mul(hat(m, x[i], mean[n], rstd[n]), meanGHat)));
            }
        }
        return dx;
    }

    static double[] normWeightGrad(Arithmetic m, double[] dy, double[] x, int c, double[] mean, double[] rstd) {
        double[] dWeight = new double[c];
        for (int i = 0; i < x.length; i++) {
            dWeight[i % c] = m.fma(dy[i], hat(m, x[i], mean[i / c], rstd[i / c]), dWeight[i % c]);
        }
        return dWeight;
    }

    private static double hat(Arithmetic m, double x, double mean, double rstd) {
        return m.mul(m.add(x, -mean), rstd);
    }

    static double[] softmax(Arithmetic m, double[] x, int c) {
        double[] y = new double[x.length];
        for (int n = 0; n < x.length / c; n++) {
            double max = max(x, n * c, c);
            for (int i = n * c; i < n * c + c; i++) {
                y[i] = m.exp(m.add(x[i], -max));
            }
            int row = n * c;
            double sum = m.sum(c, i -> y[row + i]);
            for (int i = n * c; i < n * c + c; i++) {
                y[i] = m.div(y[i], sum);
            }
        }
        return y;
    }

    static double[] softmaxGrad(Arithmetic m, double[] dy, double[] y, int c) {
        double[] dx = new double[y.length];
        for (int n = 0; n < y.length / c; n++) {
            int row = n * c;
            double dot = m.sum(c, i -> m.mul(dy[row + i], y[row + i]));
            for (int i = n * c; i < n * c + c; i++) {
                dx[i] = m.mul(y[i], m.add(dy[i], -dot));
            }
        }
        return dx;
    }

    static double[] losses(Arithmetic m, double[] logits, int c, double[] labels) {
        double[] y = new double[labels.length];
        for (int n = 0; n < y.length; n++) {
            if (labels[n] < 0) {
                continue;
            }
            double max = max(logits, n * c, c);
            int row = n * c;
            double sum = m.sum(c, i -> m.exp(m.add(logits[row + i], -max)));
            y[n] = m.add(m.log(sum), m.add(max, -logits[n * c + (int) labels[n]]));
        }
        return y;
    }

    /// Of each row with a label; at least the lowest float.
    static double[] largest(double[] logits, int c, double[] labels) {
        return Reference.map(
                Arithmetic.EXACT,
                labels.length,
                (_, n) -> labels[n] < 0 ? -Float.MAX_VALUE : Math.max(-Float.MAX_VALUE, max(logits, n * c, c)));
    }

    /// Of `exp(logit - max)` of each row with a label.
    static double[] sums(Arithmetic m, double[] logits, int c, double[] labels, double[] max) {
        return Reference.map(
                m,
                labels.length,
                (_, n) -> labels[n] < 0 ? 0 : m.sum(c, i -> m.exp(m.add(logits[n * c + i], -max[n]))));
    }

    static double[] crossEntropyGrad(Arithmetic m, double[] logits, int c, double[] labels, double scale) {
        double[] dx = softmax(m, logits, c);
        for (int i = 0; i < dx.length; i++) {
            int label = (int) labels[i / c];
            dx[i] = label < 0 ? 0 : m.mul(scale, m.add(dx[i], i % c == label ? -1 : 0));
        }
        return dx;
    }

    private static double max(double[] x, int from, int c) {
        double max = Double.NEGATIVE_INFINITY;
        for (int i = from; i < from + c; i++) {
            max = Math.max(max, x[i]);
        }
        return max;
    }
}
