package io.jacquard.benchmarks.peers;

import io.jacquard.benchmarks.suite.Deviation;
import io.jacquard.tensor.DType;
import java.util.List;
import tools.jackson.databind.JsonNode;

/// The output is the gradient of a `[vocabulary, width]` table whose rows `ids` were looked up.
record EmbeddingGradientRow(DType dtype, Floats dy, int[] ids, int vocabulary) implements KernelRow {
    static EmbeddingGradientRow of(JsonNode spec, DType dtype, Draw draw) {
        int rows = spec.get("rows").asInt();
        int vocabulary = spec.get("vocabulary").asInt();
        return new EmbeddingGradientRow(
                dtype, draw.normal(1, rows, spec.get("width").asInt()), draw.ids(rows, vocabulary), vocabulary);
    }

    @Override
    public int outputs() {
        return 1;
    }

    @Override
    public void compare(List<Floats> outputs, Deviation d) {
        int width = dy.columns();
        Floats out = KernelRow.shaped(outputs.getFirst(), vocabulary, width);
        double[] exact = new double[vocabulary * width];
        for (int row = 0; row < ids.length; row++) {
            for (int i = 0; i < width; i++) {
                exact[ids[row] * width + i] += dy.at(row, i);
            }
        }
        for (int i = 0; i < exact.length; i++) {
            d.add(out.values()[i], exact[i]);
        }
    }
}
