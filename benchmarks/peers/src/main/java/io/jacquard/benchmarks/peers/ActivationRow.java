package io.jacquard.benchmarks.peers;

import io.jacquard.benchmarks.suite.Deviation;
import io.jacquard.tensor.DType;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// GELU of `[rows, width]`; or, where `gelu` is null, SwiGLU of `[rows, 2 width]`, gate beside value. The output is its
/// value, or with `dy` the input's gradient.
record ActivationRow(
        DType dtype,
        @Nullable Gelu gelu,
        Floats x,
        @Nullable Floats dy) implements KernelRow {
    static ActivationRow of(JsonNode spec, DType dtype, Draw draw) {
        boolean gelu = spec.get("function").asString().equals("gelu");
        long rows = spec.get("rows").asInt();
        long width = spec.get("width").asInt();
        return new ActivationRow(
                dtype,
                gelu ? Gelu.TANH : null,
                draw.normal(1, rows, gelu ? width : 2 * width),
                spec.path("gradient").asBoolean() ? draw.normal(1, rows, width) : null);
    }

    /// The same with another GELU.
    ActivationRow with(Gelu other) {
        return new ActivationRow(dtype, other, x, dy);
    }

    @Override
    public int outputs() {
        return 1;
    }

    @Override
    public void compare(List<Floats> outputs, Deviation d) {
        int width = gelu == null ? x.columns() / 2 : x.columns();
        Floats out = KernelRow.shaped(outputs.getFirst(), x.rows(), dy == null ? width : x.columns());
        for (int row = 0; row < x.rows(); row++) {
            for (int i = 0; i < width; i++) {
                double up = dy == null ? 1 : dy.at(row, i);
                if (gelu != null) {
                    d.add(out.at(row, i), dy == null ? gelu.of(x.at(row, i)) : up * gelu.slope(x.at(row, i)));
                    continue;
                }
                double gate = x.at(row, i);
                double value = x.at(row, width + i);
                double sigmoid = 1 / (1 + Math.exp(-gate));
                if (dy == null) {
                    d.add(out.at(row, i), gate * sigmoid * value);
                } else {
                    d.add(out.at(row, i), up * value * sigmoid * (1 + gate * (1 - sigmoid)));
                    d.add(out.at(row, width + i), up * gate * sigmoid);
                }
            }
        }
    }
}
