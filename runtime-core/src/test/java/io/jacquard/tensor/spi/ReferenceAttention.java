package io.jacquard.tensor.spi;

import io.jacquard.tensor.DType;

/// Causal attention over packed `qkv` `[B, T, (heads + 2 kvHeads) * d]`, one score at a time, and rotary embedding.
///
/// Probabilities and score gradients pass through [Arithmetic#store]: tensor cores and AMX multiply them in the dtype
/// of the values, so the naive low-precision version does too.
final class ReferenceAttention {
    private final DType dtype;
    private final double[] qkv;
    private final int batch;
    private final int time;
    private final int heads;
    private final int kvHeads;
    private final int headDim;
    private final double scale;

    ReferenceAttention(DType dtype, double[] qkv, int batch, int time, int heads, int kvHeads, int headDim) {
        this.dtype = dtype;
        this.qkv = qkv;
        this.batch = batch;
        this.time = time;
        this.heads = heads;
        this.kvHeads = kvHeads;
        this.headDim = headDim;
        this.scale = 1 / Math.sqrt(headDim);
    }

    record Result(double[] out, double[] lse) {}

    private int query(int b, int t, int h) {
        return (b * time + t) * (heads + 2 * kvHeads) * headDim + h * headDim;
    }

    private int key(int b, int t, int h) {
        return query(b, t, heads + h / (heads / kvHeads));
    }

    private int value(int b, int t, int h) {
        return query(b, t, heads + kvHeads + h / (heads / kvHeads));
    }

    private int result(int b, int t, int h) {
        return (b * time + t) * heads * headDim + h * headDim;
    }

    private double dot(Arithmetic m, double[] a, int i, double[] b, int j) {
        double sum = 0;
        for (int d = 0; d < headDim; d++) {
            sum = m.fma(a[i + d], b[j + d], sum);
        }
        return sum;
    }

    private double score(Arithmetic m, int b, int t, int s, int h) {
        return m.mul(m.r(scale), dot(m, qkv, query(b, t, h), qkv, key(b, s, h)));
    }

    Result forward(Arithmetic m) {
        double[] out = new double[batch * time * heads * headDim];
        double[] lse = new double[batch * heads * time];
        for (int b = 0; b < batch; b++) {
            for (int h = 0; h < heads; h++) {
                for (int t = 0; t < time; t++) {
                    lse[(b * heads + h) * time + t] = row(m, out, b, h, t);
                }
            }
        }
        return new Result(out, lse);
    }

    private double row(Arithmetic m, double[] out, int b, int h, int t) {
        double[] p = new double[t + 1];
        double max = Double.NEGATIVE_INFINITY;
        for (int s = 0; s <= t; s++) {
            p[s] = score(m, b, t, s, h);
            max = Math.max(max, p[s]);
        }
        double sum = 0;
        double[] row = new double[headDim];
        for (int s = 0; s <= t; s++) {
            double e = m.exp(m.add(p[s], -max));
            sum = m.add(sum, e);
            for (int d = 0; d < headDim; d++) {
                row[d] = m.fma(m.store(dtype, e), qkv[value(b, s, h) + d], row[d]);
            }
        }
        for (int d = 0; d < headDim; d++) {
            out[result(b, t, h) + d] = m.div(row[d], sum);
        }
        return m.add(max, m.log(sum));
    }

    /// Gradient for `dOut`, given the forward's results as they were stored.
    double[] backward(Arithmetic m, double[] dOut, double[] out, double[] lse) {
        double[] dQkv = new double[qkv.length];
        for (int b = 0; b < batch; b++) {
            for (int h = 0; h < heads; h++) {
                for (int t = 0; t < time; t++) {
                    double delta = dot(m, dOut, result(b, t, h), out, result(b, t, h));
                    for (int s = 0; s <= t; s++) {
                        double p = m.exp(m.add(score(m, b, t, s, h), -lse[(b * heads + h) * time + t]));
                        double dp = dot(m, dOut, result(b, t, h), qkv, value(b, s, h));
                        pair(m, dQkv, dOut, new Pair(b, h, t, s, p, m.mul(p, m.add(dp, -delta))));
                    }
                }
            }
        }
        return dQkv;
    }

    private record Pair(int b, int h, int t, int s, double probability, double dScore) {}

    private void pair(Arithmetic m, double[] dQkv, double[] dOut, Pair p) {
        int q = query(p.b, p.t, p.h);
        int k = key(p.b, p.s, p.h);
        int v = value(p.b, p.s, p.h);
        double ds = m.mul(m.r(scale), m.store(dtype, p.dScore));
        for (int d = 0; d < headDim; d++) {
            dQkv[q + d] = m.fma(ds, qkv[k + d], dQkv[q + d]);
            dQkv[k + d] = m.fma(ds, qkv[q + d], dQkv[k + d]);
            dQkv[v + d] = m.fma(m.store(dtype, p.probability), dOut[result(p.b, p.t, p.h) + d], dQkv[v + d]);
        }
    }

    /// Rotate-half embedding of the first `heads` heads of each row of `width` elements.
    static double[] rope(
            Arithmetic m,
            double[] x,
            int time,
            int width,
            int heads,
            int headDim,
            double base,
            int first,
            boolean inverse) {
        double[] y = x.clone();
        int half = headDim / 2;
        for (int row = 0; row < x.length / width; row++) {
            for (int h = 0; h < heads; h++) {
                for (int i = 0; i < half; i++) {
                    double frequency = m.pow(base, m.div(-2.0 * i, headDim));
                    double angle = m.mul(first + row % time, frequency);
                    double cos = m.cos(angle);
                    double sin = inverse ? -m.sin(angle) : m.sin(angle);
                    int a = row * width + h * headDim + i;
                    y[a] = m.add(m.mul(x[a], cos), -m.mul(x[a + half], sin));
                    y[a + half] = m.add(m.mul(x[a + half], cos), m.mul(x[a], sin));
                }
            }
        }
        return y;
    }
}
