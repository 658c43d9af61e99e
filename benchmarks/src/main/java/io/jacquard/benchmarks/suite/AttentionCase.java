package io.jacquard.benchmarks.suite;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Kernels;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import tools.jackson.databind.JsonNode;

/// Causal attention of `batch` sequences of `time` tokens, or its gradient. Checked on the last sequence: queries at
/// three places, and the keys at the end, whose gradients come from few queries.
final class AttentionCase implements KernelCase {
    private static final int LAST_KEYS = 48;

    private final boolean gradient;
    private final int batch;
    private final int time;
    private final int heads;
    private final int kvHeads;
    private final int headDim;
    private final Tensor qkv;
    private final Tensor out;
    private final Tensor lse;
    private final Tensor dOut;
    private final Tensor dQkv;

    private double[][] packed = {};
    private double[][] dOutRows = {};

    AttentionCase(JsonNode spec, DType dtype, Operands operands) {
        gradient = spec.path("gradient").asBoolean();
        batch = spec.get("batch").asInt();
        time = spec.get("time").asInt();
        heads = spec.get("heads").asInt();
        kvHeads = spec.get("kv_heads").asInt();
        headDim = spec.get("head_dim").asInt();
        int width = (heads + 2 * kvHeads) * headDim;
        qkv = operands.normal(1, dtype, batch, time, width);
        out = operands.normal(1, dtype, batch, time, heads * headDim);
        lse = Tensor.zeros(Shape.of(batch, heads, time), DType.F32);
        dOut = gradient ? operands.normal(1, dtype, batch, time, heads * headDim) : out;
        dQkv = gradient ? operands.normal(1, dtype, batch, time, width) : qkv;
        if (gradient) {
            qkv.kernels().attention(out, lse, qkv, heads, kvHeads);
        }
    }

    @Override
    public List<Consumer<Kernels>> launches() {
        return List.of(
                gradient
                        ? k -> k.attentionGrad(dQkv, dOut, qkv, out, lse, heads, kvHeads)
                        : k -> k.attention(out, lse, qkv, heads, kvHeads));
    }

    @Override
    public Deviation deviation() {
        long first = (batch - 1L) * time;
        packed = rows(qkv, first);
        dOutRows = gradient ? rows(dOut, first) : new double[0][];
        Deviation d = new Deviation();
        int[] queries = Operands.places(time);
        for (int head : new int[] {0, heads - 1}) {
            for (int t : queries) {
                if (gradient) {
                    queryGradient(d, head, t);
                } else {
                    output(d, head, t);
                }
            }
        }
        if (gradient) {
            keyGradients(d.next());
        }
        packed = new double[0][];
        dOutRows = packed;
        return d;
    }

    private double[][] rows(Tensor t, long first) {
        return IntStream.range(0, time)
                .mapToObj(i -> Operands.row(t, first + i))
                .toArray(double[][]::new);
    }

    private int keyAt(int head) {
        return (heads + head / (heads / kvHeads)) * headDim;
    }

    private int valueAt(int head) {
        return keyAt(head) + kvHeads * headDim;
    }

    private static double dot(double[] a, int i, double[] b, int j, int n) {
        double sum = 0;
        for (int k = 0; k < n; k++) {
            sum += a[i + k] * b[j + k];
        }
        return sum;
    }

    /// The softmax of one query over the keys up to its own.
    private double[] probabilities(int head, int t) {
        double[] p = new double[t + 1];
        double max = Double.NEGATIVE_INFINITY;
        for (int j = 0; j <= t; j++) {
            p[j] = dot(packed[t], head * headDim, packed[j], keyAt(head), headDim) / Math.sqrt(headDim);
            max = Math.max(max, p[j]);
        }
        double sum = 0;
        for (int j = 0; j <= t; j++) {
            p[j] = Math.exp(p[j] - max);
            sum += p[j];
        }
        for (int j = 0; j <= t; j++) {
            p[j] /= sum;
        }
        return p;
    }

    private void output(Deviation d, int head, int t) {
        double[] p = probabilities(head, t);
        double[] got = Operands.read(out, ((batch - 1L) * time + t) * heads * headDim + (long) head * headDim, headDim);
        for (int i = 0; i < headDim; i++) {
            double exact = 0;
            for (int j = 0; j <= t; j++) {
                exact += p[j] * packed[j][valueAt(head) + i];
            }
            d.add(got[i], exact);
        }
        d.next();
    }

    /// The gradients of one query's scores.
    private double[] scoreGradients(int head, int t, double[] p) {
        double[] ds = new double[t + 1];
        double delta = 0;
        for (int j = 0; j <= t; j++) {
            ds[j] = dot(dOutRows[t], head * headDim, packed[j], valueAt(head), headDim);
            delta += p[j] * ds[j];
        }
        for (int j = 0; j <= t; j++) {
            ds[j] = p[j] * (ds[j] - delta) / Math.sqrt(headDim);
        }
        return ds;
    }

    private double[] gradientOf(int t, int column) {
        int width = (heads + 2 * kvHeads) * headDim;
        return Operands.read(dQkv, ((batch - 1L) * time + t) * width + column, headDim);
    }

    private void queryGradient(Deviation d, int head, int t) {
        if (t == 0) {
            return; // one key: exactly 0, which no relative error fits
        }
        double[] ds = scoreGradients(head, t, probabilities(head, t));
        double[] got = gradientOf(t, head * headDim);
        for (int i = 0; i < headDim; i++) {
            double exact = 0;
            for (int j = 0; j <= t; j++) {
                exact += ds[j] * packed[j][keyAt(head) + i];
            }
            d.add(got[i], exact);
        }
        d.next();
    }

    private void keyGradients(Deviation d) {
        int group = heads / kvHeads;
        int from = Math.max(0, time - LAST_KEYS);
        double[][] dKey = new double[time - from][headDim];
        double[][] dValue = new double[time - from][headDim];
        for (int head = heads - group; head < heads; head++) {
            for (int t = from; t < time; t++) {
                double[] p = probabilities(head, t);
                double[] ds = scoreGradients(head, t, p);
                for (int j = from; j <= t; j++) {
                    for (int i = 0; i < headDim; i++) {
                        dKey[j - from][i] += ds[j] * packed[t][head * headDim + i];
                        dValue[j - from][i] += p[j] * dOutRows[t][head * headDim + i];
                    }
                }
            }
        }
        compare(d, dKey, from, keyAt(heads - 1));
        compare(d, dValue, from, valueAt(heads - 1));
    }

    private void compare(Deviation d, double[][] exact, int from, int column) {
        for (int j = 0; j < exact.length; j++) {
            double[] got = gradientOf(from + j, column);
            for (int i = 0; i < headDim; i++) {
                d.add(got[i], exact[j][i]);
            }
        }
        d.next();
    }
}
