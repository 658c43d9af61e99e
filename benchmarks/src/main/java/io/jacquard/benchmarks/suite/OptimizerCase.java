package io.jacquard.benchmarks.suite;

import io.jacquard.nn.Weights;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Kernels;
import java.util.List;
import java.util.function.Consumer;
import tools.jackson.databind.JsonNode;

/// What an optimizer step launches over one flat tensor: global norm, step counter, AdamW with clipping that also
/// writes the rounded weights.
final class OptimizerCase implements KernelCase {
    private static final double BETA1 = 0.9;
    private static final double BETA2 = 0.95;
    private static final double EPSILON = 1e-8;
    private static final double DECAY = 0.1;
    private static final double RATE = 3e-4;
    private static final double GRADIENT = 1e-2;
    private static final int PIECE = 64;

    /// Up to here the norm is added up on the host; beyond, what these random numbers must give is known well
    /// enough.
    private static final int COUNTED = 1 << 27;

    private final int n;
    private final Tensor values;
    private final Tensor master;
    private final Tensor m;
    private final Tensor v;
    private final Tensor gradients;
    private final Tensor rate;
    private final Tensor step;
    private final Tensor norm;
    private final Tensor decays;
    private double[][] before = {};

    OptimizerCase(JsonNode spec, DType dtype, Operands operands) {
        n = spec.get("elements").asInt() / Weights.ALIGNMENT * Weights.ALIGNMENT;
        DType ofGradients = spec.get("gradients").asString().equals("f32") ? DType.F32 : dtype;
        master = operands.normal(0.02, DType.F32, n);
        values = dtype == DType.F32 ? master : operands.normal(0.02, dtype, n);
        m = operands.normal(1e-3, DType.F32, n);
        v = Tensor.zeros(Shape.of(n), DType.F32);
        v.kernels().fill(v, 1e-4f);
        gradients = operands.normal(GRADIENT, ofGradients, n);
        rate = Tensor.of(Shape.of(1), (float) RATE);
        step = Tensor.of(Shape.of(1), 9);
        norm = Tensor.zeros(Shape.of(2), DType.F32);
        decays = Tensor.empty(Shape.of(n / Weights.ALIGNMENT), DType.U8);
        decays.kernels().fill(decays, 1f);
    }

    @Override
    public List<Consumer<Kernels>> launches() {
        return List.of(
                k -> k.norm(norm, gradients),
                k -> k.count(step, norm, 1),
                k -> k.adamW(
                        values,
                        master,
                        m,
                        v,
                        gradients,
                        rate,
                        step,
                        norm,
                        decays,
                        (float) BETA1,
                        (float) BETA2,
                        (float) EPSILON,
                        (float) DECAY,
                        1f,
                        null));
    }

    /// Before the run that is checked: what the first and the last elements were.
    @Override
    public void reset() {
        if (before.length == 0) {
            before = new double[][] {
                Operands.read(master, 0, PIECE),
                Operands.read(m, 0, PIECE),
                Operands.read(v, 0, PIECE),
                Operands.read(master, n - PIECE, PIECE),
                Operands.read(m, n - PIECE, PIECE),
                Operands.read(v, n - PIECE, PIECE)
            };
        }
    }

    @Override
    public Deviation deviation() {
        Deviation d = new Deviation();
        double exactNorm = exactNorm();
        d.add(Operands.read(norm, 0, 1)[0], exactNorm);
        piece(d.next(), 0, 0, exactNorm);
        piece(d.next(), n - PIECE, 3, exactNorm);
        return d;
    }

    private double exactNorm() {
        if (n > COUNTED) {
            return GRADIENT * Math.sqrt(n);
        }
        double sum = 0;
        int chunk = 1 << 20;
        for (int from = 0; from < n; from += chunk) {
            for (double g : Operands.read(gradients, from, Math.min(chunk, n - from))) {
                sum += g * g;
            }
        }
        return Math.sqrt(sum);
    }

    private void piece(Deviation d, int from, int index, double exactNorm) {
        double[] g = Operands.read(gradients, from, PIECE);
        double[] rounded = Operands.read(values, from, PIECE);
        double[] w = Operands.read(master, from, PIECE);
        double clip = Math.min(1, 1 / (exactNorm + 1e-6));
        for (int i = 0; i < PIECE; i++) {
            double gradient = clip * g[i];
            double first = BETA1 * before[index + 1][i] + (1 - BETA1) * gradient;
            double second = BETA2 * before[index + 2][i] + (1 - BETA2) * gradient * gradient;
            double update =
                    first / (1 - Math.pow(BETA1, 10)) / (Math.sqrt(second / (1 - Math.pow(BETA2, 10))) + EPSILON);
            double exact = before[index][i] * (1 - RATE * DECAY) - RATE * update;
            d.add(w[i], exact);
            d.add(rounded[i], exact);
        }
    }
}
