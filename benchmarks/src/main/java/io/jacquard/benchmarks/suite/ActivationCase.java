package io.jacquard.benchmarks.suite;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Kernels;
import java.util.List;
import java.util.function.Consumer;
import tools.jackson.databind.JsonNode;

/// GELU `[rows, width]` or SwiGLU `[rows, 2 width] -> [rows, width]`, or its gradient.
final class ActivationCase implements KernelCase {
    private static final double SCALE = Math.sqrt(2 / Math.PI);

    private final boolean gelu;
    private final boolean gradient;
    private final int width;
    private final Tensor x;
    private final Tensor dy;
    private final Tensor out;

    ActivationCase(JsonNode spec, DType dtype, Operands operands) {
        gelu = spec.get("function").asString().equals("gelu");
        gradient = spec.path("gradient").asBoolean();
        int rows = spec.get("rows").asInt();
        width = spec.get("width").asInt();
        int in = gelu ? width : 2 * width;
        x = operands.normal(1, dtype, rows, in);
        dy = gradient ? operands.normal(1, dtype, rows, width) : x;
        out = operands.normal(1, dtype, rows, gradient ? in : width);
    }

    @Override
    public List<Consumer<Kernels>> launches() {
        if (gelu) {
            return List.of(gradient ? k -> k.geluGrad(out, dy, x, 0f) : k -> k.gelu(out, x));
        }
        return List.of(gradient ? k -> k.swiGluGrad(out, dy, x, 0f) : k -> k.swiGlu(out, x));
    }

    @Override
    public Deviation deviation() {
        Deviation d = new Deviation();
        for (int row : Operands.places(Math.toIntExact(x.size() / Operands.columns(x)))) {
            double[] in = Operands.row(x, row);
            double[] up = gradient ? Operands.row(dy, row) : in;
            double[] got = Operands.row(out, row);
            for (int i = 0; i < width; i++) {
                if (gelu) {
                    d.add(got[i], gradient ? up[i] * geluSlope(in[i]) : gelu(in[i]));
                } else {
                    swiGlu(d, in, up, got, i);
                }
            }
        }
        return d;
    }

    private void swiGlu(Deviation d, double[] in, double[] dy, double[] got, int i) {
        double gate = in[i];
        double up = in[width + i];
        double sigmoid = 1 / (1 + Math.exp(-gate));
        if (gradient) {
            d.add(got[i], dy[i] * up * sigmoid * (1 + gate * (1 - sigmoid)));
            d.add(got[width + i], dy[i] * gate * sigmoid);
        } else {
            d.add(got[i], gate * sigmoid * up);
        }
    }

    static double gelu(double x) {
        return 0.5 * x * (1 + Math.tanh(SCALE * (x + 0.044715 * x * x * x)));
    }

    private static double geluSlope(double x) {
        double t = Math.tanh(SCALE * (x + 0.044715 * x * x * x));
        return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * SCALE * (1 + 3 * 0.044715 * x * x);
    }
}
