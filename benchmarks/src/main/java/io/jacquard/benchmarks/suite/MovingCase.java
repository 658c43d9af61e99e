package io.jacquard.benchmarks.suite;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Kernels;
import java.util.List;
import java.util.function.Consumer;
import tools.jackson.databind.JsonNode;

/// What moves values: a plain copy, heads and positions exchanged (`[B, T, H, D] -> [B, H, T, D]`), rotary embedding.
final class MovingCase implements KernelCase {
    private static final float BASE = 10000f;

    private final String function;
    private final int batch;
    private final int time;
    private final int heads;
    private final int headDim;
    private final Tensor x;
    private final Tensor out;

    MovingCase(JsonNode spec, DType dtype, Operands operands) {
        function = spec.get("function").asString();
        batch = spec.get("batch").asInt();
        time = spec.get("time").asInt();
        heads = spec.get("heads").asInt();
        headDim = spec.get("head_dim").asInt();
        x = operands.normal(1, dtype, batch, time, heads * headDim);
        out = operands.normal(1, dtype, batch, time, heads * headDim);
    }

    @Override
    public List<Consumer<Kernels>> launches() {
        return List.of(
                switch (function) {
                    case "copy" -> k -> k.cast(out, x);
                    case "permute" -> this::permute;
                    default -> k -> k.rope(out, x, heads, headDim, BASE, 0, false);
                });
    }

    private void permute(Kernels k) {
        long row = (long) heads * headDim;
        long[] to = {time * row, (long) time * headDim, headDim, 1};
        long[] from = {time * row, headDim, row, 1};
        k.copy(out, 0, to, x, 0, from, new int[] {batch, heads, time, headDim}, 0f);
    }

    @Override
    public Deviation deviation() {
        Deviation d = new Deviation();
        for (int t : Operands.places(time)) {
            double[] in = Operands.row(x, (batch - 1L) * time + t);
            for (int head : Operands.places(heads)) {
                long at = function.equals("permute")
                        ? (((batch - 1L) * heads + head) * time + t) * headDim
                        : ((batch - 1L) * time + t) * heads * headDim + (long) head * headDim;
                double[] got = Operands.read(out, at, headDim);
                for (int i = 0; i < headDim; i++) {
                    d.add(got[i], exact(in, head * headDim, i, t));
                }
            }
        }
        return d;
    }

    private double exact(double[] in, int head, int i, int t) {
        if (!function.equals("rope")) {
            return in[head + i];
        }
        int half = headDim / 2;
        double angle = t * Math.pow(BASE, -2.0 * (i % half) / headDim);
        double sign = i < half ? -1 : 1;
        return in[head + i] * Math.cos(angle) + sign * in[head + (i + half) % headDim] * Math.sin(angle);
    }
}
