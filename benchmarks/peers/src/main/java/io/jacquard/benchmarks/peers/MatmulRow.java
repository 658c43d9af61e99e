package io.jacquard.benchmarks.peers;

import io.jacquard.benchmarks.suite.Deviation;
import io.jacquard.tensor.DType;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// A linear layer of `[m, k]` inputs and `[n, k]` weights.
///
/// - forward: `first` is the input, `second` the weights; outputs the layer's value, or its GELU and then the value
/// - input gradient: `first` is the output's gradient, `second` the weights
/// - weight gradient: `first` is the output's gradient, `second` the input
record MatmulRow(
        DType dtype,
        Form form,
        Floats first,
        Floats second,
        @Nullable Floats bias,
        @Nullable Gelu gelu) implements KernelRow {
    /// Rows of the output that are looked at, spread over it.
    private static final int ROWS = 8;

    enum Form {
        FORWARD,
        INPUT_GRADIENT,
        WEIGHT_GRADIENT
    }

    static MatmulRow of(JsonNode spec, DType dtype, Draw draw) {
        int m = spec.get("m").asInt();
        int n = spec.get("n").asInt();
        int k = spec.get("k").asInt();
        double deviation = 1 / Math.sqrt(k);
        Floats bias = spec.path("bias").asBoolean() ? draw.normal(1, n) : null;
        Gelu gelu = spec.path("gelu").asBoolean() ? Gelu.TANH : null;
        return switch (spec.get("form").asString()) {
            case "forward" ->
                new MatmulRow(dtype, Form.FORWARD, draw.normal(1, m, k), draw.normal(deviation, n, k), bias, gelu);
            case "input gradient" ->
                new MatmulRow(
                        dtype, Form.INPUT_GRADIENT, draw.normal(1, m, n), draw.normal(deviation, n, k), null, null);
            case "weight gradient" ->
                new MatmulRow(dtype, Form.WEIGHT_GRADIENT, draw.normal(1, m, n), draw.normal(1, m, k), null, null);
            default -> throw new IllegalArgumentException("matmul of unknown form: " + spec);
        };
    }

    /// The same with another GELU.
    MatmulRow with(Gelu other) {
        return new MatmulRow(dtype, form, first, second, bias, other);
    }

    @Override
    public int outputs() {
        return gelu == null ? 1 : 2;
    }

    @Override
    public void compare(List<Floats> outputs, Deviation d) {
        int rows = form == Form.WEIGHT_GRADIENT ? first.columns() : first.rows();
        int columns = form == Form.FORWARD ? second.rows() : second.columns();
        for (Floats output : outputs) {
            KernelRow.shaped(output, rows, columns);
        }
        Floats value = outputs.getLast();
        int count = Math.min(ROWS, rows);
        for (int i = 0; i < count; i++) {
            int row = count == 1 ? 0 : (int) ((long) i * (rows - 1) / (count - 1));
            double[] exact = exact(row, columns);
            for (int c = 0; c < columns; c++) {
                d.add(value.at(row, c), exact[c]);
            }
            d.next();
            for (int c = 0; gelu != null && c < columns; c++) {
                d.add(outputs.getFirst().at(row, c), gelu.of(exact[c]));
            }
            d.next();
        }
    }

    private double[] exact(int row, int columns) {
        double[] sums = new double[columns];
        switch (form) {
            case FORWARD -> {
                for (int c = 0; c < columns; c++) {
                    for (int i = 0; i < first.columns(); i++) {
                        sums[c] += first.at(row, i) * second.at(c, i);
                    }
                    sums[c] += bias == null ? 0 : bias.values()[c];
                }
            }
            case INPUT_GRADIENT -> {
                for (int i = 0; i < second.rows(); i++) {
                    add(sums, first.at(row, i), i);
                }
            }
            case WEIGHT_GRADIENT -> {
                for (int i = 0; i < second.rows(); i++) {
                    add(sums, first.at(i, row), i);
                }
            }
        }
        return sums;
    }

    private void add(double[] sums, double scale, int row) {
        for (int c = 0; c < sums.length; c++) {
            sums[c] += scale * second.at(row, c);
        }
    }
}
