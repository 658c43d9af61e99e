package io.jacquard.benchmarks.peers;

import io.jacquard.benchmarks.suite.Deviation;
import io.jacquard.tensor.DType;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// LayerNorm, or RMSNorm where there is no `bias`, of `[rows, width]`. Outputs are the normed value; with a `residual`
/// that of the sum, and the sum; with `dy` the gradients of input, weight and, if there is one, bias.
record NormRow(
        DType dtype,
        Floats x,
        @Nullable Floats residual,
        Floats weight,
        @Nullable Floats bias,
        @Nullable Floats dy) implements KernelRow {
    static final float EPSILON = 1e-5f;

    static NormRow of(JsonNode spec, DType dtype, Draw draw) {
        long rows = spec.get("rows").asInt();
        long width = spec.get("width").asInt();
        return new NormRow(
                dtype,
                draw.normal(1, rows, width),
                spec.path("residual").asBoolean() ? draw.normal(1, rows, width) : null,
                draw.normal(1, width),
                spec.get("function").asString().equals("layer norm") ? draw.normal(1, width) : null,
                spec.path("gradient").asBoolean() ? draw.normal(1, rows, width) : null);
    }

    @Override
    public int outputs() {
        return dy != null ? (bias == null ? 2 : 3) : residual == null ? 1 : 2;
    }

    @Override
    public void compare(List<Floats> outputs, Deviation d) {
        Floats first = KernelRow.shaped(outputs.getFirst(), x.rows(), x.columns());
        Floats total = residual == null ? x : KernelRow.shaped(outputs.get(1), x.rows(), x.columns());
        double[] dWeight = new double[x.columns()];
        double[] dBias = new double[x.columns()];
        for (int row = 0; row < x.rows(); row++) {
            // the sum is rounded before it is normed, on all sides
            double[] normed = new double[x.columns()];
            double scale = norm(total, row, normed);
            double[] exact = dy == null ? scaled(normed) : inputGradient(dy, row, normed, scale);
            for (int i = 0; i < exact.length; i++) {
                d.add(first.at(row, i), exact[i]);
                dWeight[i] += dy == null ? 0 : dy.at(row, i) * normed[i];
                dBias[i] += dy == null ? 0 : dy.at(row, i);
            }
        }
        d.next();
        if (dy != null) {
            compare(outputs.get(1), dWeight, d);
            if (bias != null) {
                compare(outputs.get(2), dBias, d);
            }
        }
        if (residual != null) {
            for (int i = 0; i < total.values().length; i++) {
                d.add(total.values()[i], (double) x.values()[i] + residual.values()[i]);
            }
            d.next();
        }
    }

    private static void compare(Floats output, double[] exact, Deviation d) {
        KernelRow.shaped(output, exact.length);
        for (int i = 0; i < exact.length; i++) {
            d.add(output.values()[i], exact[i]);
        }
        d.next();
    }

    /// Fills in the normed row and returns what it was scaled by.
    private double norm(Floats in, int row, double[] normed) {
        double mean = 0;
        for (int i = 0; bias != null && i < normed.length; i++) {
            mean += in.at(row, i) / normed.length;
        }
        double square = 0;
        for (int i = 0; i < normed.length; i++) {
            normed[i] = in.at(row, i) - mean;
            square += normed[i] * normed[i];
        }
        double scale = 1 / Math.sqrt(square / normed.length + EPSILON);
        for (int i = 0; i < normed.length; i++) {
            normed[i] *= scale;
        }
        return scale;
    }

    private double[] scaled(double[] normed) {
        double[] out = new double[normed.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = normed[i] * weight.values()[i] + (bias == null ? 0 : bias.values()[i]);
        }
        return out;
    }

    private double[] inputGradient(Floats up, int row, double[] normed, double scale) {
        int n = normed.length;
        double mean = 0;
        double dot = 0;
        for (int i = 0; i < n; i++) {
            double g = up.at(row, i) * weight.values()[i];
            mean += bias == null ? 0 : g / n;
            dot += g * normed[i] / n;
        }
        double[] out = new double[n];
        for (int i = 0; i < n; i++) {
            out[i] = scale * (up.at(row, i) * weight.values()[i] - mean - normed[i] * dot);
        }
        return out;
    }
}
