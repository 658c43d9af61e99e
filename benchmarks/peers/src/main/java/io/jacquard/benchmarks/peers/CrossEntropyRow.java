package io.jacquard.benchmarks.peers;

import io.jacquard.benchmarks.suite.Deviation;
import io.jacquard.tensor.DType;
import java.util.List;
import tools.jackson.databind.JsonNode;

/// Outputs are the losses of `[rows, vocabulary]` logits, and the logits' gradient for the mean of the losses.
record CrossEntropyRow(DType dtype, Floats logits, int[] labels) implements KernelRow {
    static CrossEntropyRow of(JsonNode spec, DType dtype, Draw draw) {
        int rows = spec.get("rows").asInt();
        int vocabulary = spec.get("vocabulary").asInt();
        return new CrossEntropyRow(dtype, draw.normal(1, rows, vocabulary), draw.ids(rows, vocabulary));
    }

    @Override
    public int outputs() {
        return 2;
    }

    @Override
    public void compare(List<Floats> outputs, Deviation d) {
        Floats losses = KernelRow.shaped(outputs.getFirst(), logits.rows());
        Floats gradient = KernelRow.shaped(outputs.getLast(), logits.rows(), logits.columns());
        double[] sums = new double[logits.rows()];
        for (int row = 0; row < sums.length; row++) {
            for (int i = 0; i < logits.columns(); i++) {
                sums[row] += Math.exp(logits.at(row, i));
            }
            d.add(losses.values()[row], Math.log(sums[row]) - logits.at(row, labels[row]));
        }
        d.next();
        for (int row = 0; row < sums.length; row++) {
            for (int i = 0; i < logits.columns(); i++) {
                double p = Math.exp(logits.at(row, i)) / sums[row];
                d.add(gradient.at(row, i), (p - (i == labels[row] ? 1 : 0)) / sums.length);
            }
        }
        d.next();
    }
}
