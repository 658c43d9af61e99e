package io.jacquard.benchmarks.peers;

import io.jacquard.benchmarks.suite.Deviation;
import io.jacquard.tensor.DType;
import java.util.List;
import java.util.Locale;
import tools.jackson.databind.JsonNode;

/// What moves `[batch, time, heads, headDim]`: a copy, its transpose to `[batch, heads, time, headDim]`, or rotary
/// positions, which turn each pair of elements half a head apart.
record MovingRow(DType dtype, Function function, Floats x) implements KernelRow {
    enum Function {
        COPY,
        PERMUTE,
        ROPE
    }

    static MovingRow of(JsonNode spec, DType dtype, Draw draw) {
        return new MovingRow(
                dtype,
                Function.valueOf(spec.get("function").asString().toUpperCase(Locale.ROOT)),
                draw.normal(
                        1,
                        spec.get("batch").asInt(),
                        spec.get("time").asInt(),
                        spec.get("heads").asInt(),
                        spec.get("head_dim").asInt()));
    }

    /// Of each position the cosines or sines of its angles, twice side by side: `[1, time, 1, headDim]`.
    static Floats angles(boolean cosine, int time, int headDim) {
        float[] values = new float[time * headDim];
        for (int t = 0; t < time; t++) {
            for (int i = 0; i < headDim; i++) {
                double angle = angle(t, i, headDim);
                values[t * headDim + i] = (float) (cosine ? Math.cos(angle) : Math.sin(angle));
            }
        }
        return new Floats(values, 1, time, 1, headDim);
    }

    private static double angle(int t, int i, int headDim) {
        return t * Math.pow(10000, -2.0 * (i % (headDim / 2)) / headDim);
    }

    @Override
    public int outputs() {
        return 1;
    }

    @Override
    public void compare(List<Floats> outputs, Deviation d) {
        int batch = (int) x.dims()[0];
        int time = (int) x.dims()[1];
        int heads = (int) x.dims()[2];
        int n = x.columns();
        boolean permuted = function == Function.PERMUTE;
        Floats out = KernelRow.shaped(outputs.getFirst(), batch, permuted ? heads : time, permuted ? time : heads, n);
        for (int row = 0; row < x.rows(); row++) {
            int b = row / heads / time;
            int t = row / heads % time;
            int to = permuted ? (b * heads + row % heads) * time + t : row;
            for (int i = 0; i < n; i++) {
                d.add(out.at(to, i), function == Function.ROPE ? turned(row, t, i) : x.at(row, i));
            }
        }
    }

    private double turned(int row, int t, int i) {
        int half = x.columns() / 2;
        double angle = angle(t, i, x.columns());
        double other = i < half ? -x.at(row, i + half) : x.at(row, i - half);
        return x.at(row, i) * Math.cos(angle) + other * Math.sin(angle);
    }
}
