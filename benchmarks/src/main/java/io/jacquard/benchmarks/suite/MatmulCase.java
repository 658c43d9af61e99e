package io.jacquard.benchmarks.suite;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import io.jacquard.tensor.spi.Kernels;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// A linear layer `y[m, n] = x[m, k] weight[n, k]ᵀ`, or one of its two gradients.
final class MatmulCase implements KernelCase {
    private static final int PATCH = 16;

    private final Tensor out;
    private final Tensor a;
    private final boolean ta;
    private final Tensor b;
    private final boolean tb;
    private final @Nullable Tensor bias;
    private final @Nullable Tensor pre;

    MatmulCase(JsonNode spec, DType dtype, Operands operands) {
        int m = spec.get("m").asInt();
        int n = spec.get("n").asInt();
        int k = spec.get("k").asInt();
        Tensor x = operands.normal(1, dtype, m, k);
        Tensor w = operands.normal(1 / Math.sqrt(k), dtype, n, k);
        Tensor y = operands.normal(1, dtype, m, n);
        bias = spec.path("bias").asBoolean() ? operands.normal(1, dtype, n) : null;
        pre = spec.path("gelu").asBoolean() ? operands.normal(1, dtype, m, n) : null;
        switch (spec.get("form").asString()) {
            case "forward" -> {
                out = y;
                a = x;
                b = w;
                ta = false;
                tb = true;
            }
            case "input gradient" -> {
                out = x;
                a = y;
                b = w;
                ta = false;
                tb = false;
            }
            default -> {
                out = w;
                a = y;
                b = x;
                ta = true;
                tb = false;
            }
        }
    }

    @Override
    public List<Consumer<Kernels>> launches() {
        Epilogue epilogue = pre == null ? Epilogue.bias(bias) : Epilogue.gelu(bias, pre);
        return List.of(k -> k.matmul(out, a, ta, b, tb, 0f, epilogue));
    }

    @Override
    public Deviation deviation() {
        int rows = Math.toIntExact(out.size() / Operands.columns(out));
        int columns = Operands.columns(out);
        Deviation d = new Deviation();
        int r = Math.min(PATCH, rows);
        int c = Math.min(PATCH, columns);
        // the corners of one diagonal and the middle: an operand's column costs a copy for each of its elements
        int[] i = Operands.places(rows);
        int[] j = Operands.places(columns);
        for (int p = 0; p < Math.min(i.length, j.length); p++) {
            patch(d, Math.min(i[p], rows - r), r, Math.min(j[p], columns - c), c);
        }
        return d;
    }

    private void patch(Deviation d, int i0, int rows, int j0, int columns) {
        double[][] left = lines(a, ta, i0, rows);
        double[][] right = lines(b, !tb, j0, columns);
        double[] shift = bias == null ? new double[columns] : Operands.read(bias, j0, columns);
        int width = Operands.columns(out);
        for (int i = 0; i < rows; i++) {
            double[] got = Operands.read(out, (long) (i0 + i) * width + j0, columns);
            double[] before = pre == null ? null : Operands.read(pre, (long) (i0 + i) * width + j0, columns);
            for (int j = 0; j < columns; j++) {
                double exact = shift[j];
                for (int k = 0; k < left[i].length; k++) {
                    exact += left[i][k] * right[j][k];
                }
                if (before != null) {
                    d.add(before[j], exact);
                    exact = ActivationCase.gelu(exact);
                }
                d.add(got[j], exact);
            }
        }
    }

    /// `count` vectors along the inner dimension: rows of `t`, or columns when it is `across`.
    private static double[][] lines(Tensor t, boolean across, int from, int count) {
        int width = Operands.columns(t);
        int inner = across ? Math.toIntExact(t.size() / width) : width;
        double[][] lines = new double[count][];
        if (!across) {
            for (int i = 0; i < count; i++) {
                lines[i] = Operands.row(t, from + i);
            }
            return lines;
        }
        for (int i = 0; i < count; i++) {
            lines[i] = new double[inner];
        }
        for (int k = 0; k < inner; k++) {
            double[] piece = Operands.read(t, (long) k * width + from, count);
            for (int i = 0; i < count; i++) {
                lines[i][k] = piece[i];
            }
        }
        return lines;
    }
}
