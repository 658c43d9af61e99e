package io.jacquard.benchmarks.peers;

import io.jacquard.benchmarks.suite.Deviation;
import io.jacquard.tensor.DType;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// Causal attention. `qkv` holds queries, keys and values of each token side by side: `[batch, time, (heads + 2
/// kvHeads) headDim]`; `dy` is `[batch, time, heads, headDim]`. Outputs are `[batch, heads, time, headDim]`: the value,
/// or with `dy` the gradients of queries, keys and values.
record AttentionRow(
        DType dtype,
        int heads,
        int kvHeads,
        int headDim,
        Floats qkv,
        @Nullable Floats dy) implements KernelRow {

    static AttentionRow of(JsonNode spec, DType dtype, Draw draw) {
        int batch = spec.get("batch").asInt();
        int time = spec.get("time").asInt();
        int heads = spec.get("heads").asInt();
        int kvHeads = spec.get("kv_heads").asInt();
        int headDim = spec.get("head_dim").asInt();
        return new AttentionRow(
                dtype,
                heads,
                kvHeads,
                headDim,
                draw.normal(1, batch, time, (heads + 2L * kvHeads) * headDim),
                spec.path("gradient").asBoolean() ? draw.normal(1, batch, time, heads, headDim) : null);
    }

    int batch() {
        return (int) qkv.dims()[0];
    }

    int time() {
        return (int) qkv.dims()[1];
    }

    @Override
    public int outputs() {
        return dy == null ? 1 : 3;
    }

    /// Of the last sequence, the first and the last group of heads.
    @Override
    public void compare(List<Floats> outputs, Deviation d) {
        for (int i = 0; i < outputs.size(); i++) {
            KernelRow.shaped(outputs.get(i), batch(), i == 0 ? heads : kvHeads, time(), headDim);
        }
        group(0, outputs, d);
        group(kvHeads - 1, outputs, d);
    }

    private void group(int kv, List<Floats> outputs, Deviation d) {
        double[][] keys = part(heads + kv);
        double[][] values = part(heads + kvHeads + kv);
        double[][] dKeys = new double[time()][headDim];
        double[][] dValues = new double[time()][headDim];
        int group = heads / kvHeads;
        for (int head = kv * group; head < (kv + 1) * group; head++) {
            double[][] queries = part(head);
            double[][] exact = new double[time()][];
            for (int t = 0; t < time(); t++) {
                double[] p = probabilities(queries[t], keys, t);
                exact[t] = dy == null
                        ? mixed(p, values)
                        : gradients(queries[t], upstream(dy, head, t), keys, values, p, dKeys, dValues);
            }
            compare(outputs.getFirst(), heads, head, exact, d);
        }
        if (dy != null) {
            compare(outputs.get(1), kvHeads, kv, dKeys, d);
            compare(outputs.get(2), kvHeads, kv, dValues, d);
        }
    }

    /// One head of the last sequence.
    private double[][] part(int index) {
        double[][] rows = new double[time()][headDim];
        for (int t = 0; t < time(); t++) {
            for (int i = 0; i < headDim; i++) {
                rows[t][i] = qkv.at((batch() - 1) * time() + t, index * headDim + i);
            }
        }
        return rows;
    }

    private double[] upstream(Floats gradient, int head, int t) {
        double[] row = new double[headDim];
        for (int i = 0; i < headDim; i++) {
            row[i] = gradient.at(((batch() - 1) * time() + t) * heads + head, i);
        }
        return row;
    }

    /// Of one query over the keys up to its own.
    private double[] probabilities(double[] query, double[][] keys, int t) {
        double[] p = new double[t + 1];
        double max = Double.NEGATIVE_INFINITY;
        for (int j = 0; j <= t; j++) {
            p[j] = dot(query, keys[j]) / Math.sqrt(headDim);
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

    /// The query's gradient; adds to those of the keys and values that it looked at.
    private double[] gradients(
            double[] query,
            double[] up,
            double[][] keys,
            double[][] values,
            double[] p,
            double[][] dKeys,
            double[][] dValues) {
        double[] ds = new double[p.length];
        double delta = 0;
        for (int j = 0; j < p.length; j++) {
            ds[j] = dot(up, values[j]);
            delta += p[j] * ds[j];
        }
        for (int j = 0; j < p.length; j++) {
            ds[j] = p[j] * (ds[j] - delta) / Math.sqrt(headDim);
            add(dKeys[j], ds[j], query);
            add(dValues[j], p[j], up);
        }
        return mixed(ds, keys);
    }

    private double[] mixed(double[] weights, double[][] rows) {
        double[] sum = new double[headDim];
        for (int j = 0; j < weights.length; j++) {
            add(sum, weights[j], rows[j]);
        }
        return sum;
    }

    private static void add(double[] sum, double scale, double[] row) {
        for (int i = 0; i < sum.length; i++) {
            sum[i] += scale * row[i];
        }
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }

    private void compare(Floats output, int count, int head, double[][] exact, Deviation d) {
        for (int t = 0; t < time(); t++) {
            for (int i = 0; i < headDim; i++) {
                d.add(output.at(((batch() - 1) * count + head) * time() + t, i), exact[t][i]);
            }
        }
        d.next();
    }
}
