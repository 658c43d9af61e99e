package io.jacquard.benchmarks.suite;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Kernels;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// LayerNorm or RMSNorm of `[rows, width]`, with or without adding a residual first, or the gradients of input and
/// weights.
final class NormCase implements KernelCase {
    private static final float EPSILON = 1e-5f;
    private static final int COLUMNS = 16;

    private final boolean layer;
    private final boolean gradient;
    private final int rows;
    private final int width;
    private final Tensor x;
    private final @Nullable Tensor residual;
    private final @Nullable Tensor total;
    private final Tensor out;
    private final Tensor weight;
    private final Tensor bias;
    private final Tensor mean;
    private final Tensor rstd;
    private final Tensor dy;
    private final Tensor dWeight;
    private final Tensor dBias;

    NormCase(JsonNode spec, DType dtype, Operands operands) {
        layer = spec.get("function").asString().equals("layer norm");
        gradient = spec.path("gradient").asBoolean();
        boolean adds = spec.path("residual").asBoolean();
        rows = spec.get("rows").asInt();
        width = spec.get("width").asInt();
        x = operands.normal(1, dtype, rows, width);
        residual = adds ? operands.normal(1, dtype, rows, width) : null;
        total = adds ? operands.normal(1, dtype, rows, width) : null;
        out = operands.normal(1, dtype, rows, width);
        weight = operands.normal(1, dtype, width);
        bias = operands.normal(1, dtype, width);
        mean = Tensor.zeros(Shape.of(rows), DType.F32);
        rstd = Tensor.zeros(Shape.of(rows), DType.F32);
        dy = gradient ? operands.normal(1, dtype, rows, width) : x;
        dWeight = operands.normal(1, dtype, width);
        dBias = operands.normal(1, dtype, width);
        if (gradient) {
            forward().accept(x.kernels());
        }
    }

    private Consumer<Kernels> forward() {
        return layer
                ? k -> k.layerNorm(out, total, mean, rstd, x, residual, weight, bias, EPSILON)
                : k -> k.rmsNorm(out, total, rstd, x, residual, weight, EPSILON);
    }

    @Override
    public List<Consumer<Kernels>> launches() {
        if (!gradient) {
            return List.of(forward());
        }
        return List.of(
                layer
                        ? k -> k.layerNormGrad(out, 0f, dWeight, dBias, 0f, dy, x, mean, rstd, weight)
                        : k -> k.rmsNormGrad(out, 0f, dWeight, 0f, dy, x, rstd, weight));
    }

    @Override
    public Deviation deviation() {
        Deviation d = new Deviation();
        double[] w = Operands.read(weight, 0, width);
        double[] b = Operands.read(bias, 0, width);
        for (int row : Operands.places(rows)) {
            double[] in = Operands.row(x, row);
            if (residual != null && total != null) {
                double[] r = Operands.row(residual, row);
                double[] sum = Operands.row(total, row);
                for (int i = 0; i < width; i++) {
                    d.add(sum[i], in[i] + r[i]);
                }
                in = sum;
            }
            if (gradient) {
                inputGradient(d.next(), row, in, w);
            } else {
                double[] got = Operands.row(out, row);
                double[] normed = normed(in);
                for (int i = 0; i < width; i++) {
                    d.add(got[i], normed[i] * w[i] + (layer ? b[i] : 0));
                }
            }
        }
        if (gradient) {
            weightGradient(d.next());
        }
        return d;
    }

    private double center(double[] in) {
        double sum = 0;
        for (double v : in) {
            sum += v;
        }
        return layer ? sum / in.length : 0;
    }

    private double scale(double[] in, double center) {
        double square = 0;
        for (double v : in) {
            square += (v - center) * (v - center);
        }
        return 1 / Math.sqrt(square / in.length + EPSILON);
    }

    private double[] normed(double[] in) {
        double center = center(in);
        double scale = scale(in, center);
        double[] out = new double[in.length];
        for (int i = 0; i < in.length; i++) {
            out[i] = (in[i] - center) * scale;
        }
        return out;
    }

    private void inputGradient(Deviation d, int row, double[] in, double[] w) {
        double[] up = Operands.row(dy, row);
        double[] got = Operands.row(out, row);
        double[] normed = normed(in);
        double scale = scale(in, center(in));
        double sum = 0;
        double dot = 0;
        for (int i = 0; i < width; i++) {
            sum += up[i] * w[i];
            dot += up[i] * w[i] * normed[i];
        }
        for (int i = 0; i < width; i++) {
            d.add(got[i], scale * (up[i] * w[i] - (layer ? sum / width : 0) - normed[i] * dot / width));
        }
    }

    /// Of the last columns; mean and deviation of a row are those that the forward pass stored.
    private void weightGradient(Deviation d) {
        int columns = Math.min(COLUMNS, width);
        int from = width - columns;
        double[] exactWeight = new double[columns];
        double[] exactBias = new double[columns];
        double[] center = Operands.read(mean, 0, rows);
        double[] scale = Operands.read(rstd, 0, rows);
        for (int row = 0; row < rows; row++) {
            double[] in = Operands.read(x, (long) row * width + from, columns);
            double[] up = Operands.read(dy, (long) row * width + from, columns);
            for (int i = 0; i < columns; i++) {
                exactWeight[i] += up[i] * (in[i] - (layer ? center[row] : 0)) * scale[row];
                exactBias[i] += up[i];
            }
        }
        compare(d, dWeight, from, exactWeight);
        if (layer) {
            compare(d, dBias, from, exactBias);
        }
    }

    private static void compare(Deviation d, Tensor got, int from, double[] exact) {
        double[] values = Operands.read(got, from, exact.length);
        for (int i = 0; i < exact.length; i++) {
            d.add(values[i], exact[i]);
        }
        d.next();
    }
}
