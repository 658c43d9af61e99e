package io.jacquard.benchmarks.peers;

import io.jacquard.benchmarks.suite.Deviation;
import io.jacquard.tensor.DType;
import java.util.List;
import tools.jackson.databind.JsonNode;

/// Clipping by the global norm and AdamW over one flat F32 tensor. What is checked is the second step: the first, with
/// other gradients, gives the moments something to remember. Outputs are the weights and, in a BF16 row, their rounded
/// copy.
record AdamWRow(DType dtype, Floats weights, Floats firstGradients, Floats gradients) implements KernelRow {
    static final double RATE = 3e-4;
    static final double BETA1 = 0.9;
    static final double BETA2 = 0.95;
    static final double EPSILON = 1e-8;
    static final double DECAY = 0.1;
    static final double MAX_NORM = 1;

    static AdamWRow of(JsonNode spec, DType dtype, Draw draw) {
        int n = spec.get("elements").asInt() / 256 * 256;
        return new AdamWRow(dtype, draw.normal(0.02, n), draw.normal(1e-2, n), draw.normal(1e-2, n));
    }

    @Override
    public int outputs() {
        return dtype == DType.F32 ? 1 : 2;
    }

    @Override
    public void compare(List<Floats> outputs, Deviation d) {
        int n = weights.values().length;
        double clip1 = clip(firstGradients);
        double clip2 = clip(gradients);
        for (Floats output : outputs) {
            KernelRow.shaped(output, n);
            for (int i = 0; i < n; i++) {
                double g1 = clip1 * firstGradients.values()[i];
                double g2 = clip2 * gradients.values()[i];
                double m = (1 - BETA1) * g1;
                double v = (1 - BETA2) * g1 * g1;
                double w = stepped(weights.values()[i], m, v, 1);
                m = BETA1 * m + (1 - BETA1) * g2;
                v = BETA2 * v + (1 - BETA2) * g2 * g2;
                d.add(output.values()[i], stepped(w, m, v, 2));
            }
            d.next();
        }
    }

    private static double clip(Floats gradients) {
        double square = 0;
        for (float g : gradients.values()) {
            square += (double) g * g;
        }
        return Math.min(1, MAX_NORM / (Math.sqrt(square) + 1e-6));
    }

    private static double stepped(double w, double m, double v, int step) {
        double update = m / (1 - Math.pow(BETA1, step)) / (Math.sqrt(v / (1 - Math.pow(BETA2, step))) + EPSILON);
        return w * (1 - RATE * DECAY) - RATE * update;
    }
}
