package io.jacquard.train;

import io.jacquard.ops.LinearWatch;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Scaled;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;

/// What rounding does to each operand of each linear layer, counted on the host.
final class RoundingErrors implements LinearWatch {
    /// Beyond it F32's own rounding is no excuse.
    private static final double SLACK = 1 + 1e-5;

    /// One tensor of a layer, over all its roundings.
    static final class Tally {
        private long elements;
        private long lost;
        private long cut;
        private double error;
        private double square;

        /// The share of elements other than 0 that became 0.
        double underflow() {
            return elements == 0 ? 0 : lost / (double) elements;
        }

        /// The share of elements other than 0 that were larger than the largest value.
        double overflow() {
            return elements == 0 ? 0 : cut / (double) elements;
        }

        /// Root mean square of the errors over that of the elements.
        double error() {
            return square == 0 ? 0 : Math.sqrt(error / square);
        }

        private void add(float exact, float rounded, double largest) {
            if (exact != 0) {
                elements++;
                lost += rounded == 0 ? 1 : 0;
                cut += Math.abs(exact) > largest ? 1 : 0;
            }
            double d = (double) exact - rounded;
            error += d * d;
            square += (double) exact * exact;
        }
    }

    private final SequencedMap<String, Tally> tallies = new LinkedHashMap<>();

    @Override
    public void rounded(Tensor weight, Operand operand, Tensor x, Scaled copy) {
        String name = weight.name() + " " + operand.name().toLowerCase(Locale.ROOT);
        Tally tally = tallies.computeIfAbsent(name, _ -> new Tally());
        try (var _ = Scope.openWithoutGrad("rounding errors")) {
            float[] exact = x.detach().toFloats();
            Tensor back = Tensor.empty(Shape.of(copy.rows(), copy.columns()), DType.F32);
            back.kernels().dequantize(back, copy);
            float[] rounded = back.toFloats();
            // scales of parts are those of their largest elements
            double largest = copy.blocks().isWhole()
                    ? SLACK * copy.scales().item() * copy.type().largest()
                    : Double.POSITIVE_INFINITY;
            for (int i = 0; i < exact.length; i++) {
                tally.add(exact[i], rounded[i], largest);
            }
        }
    }

    /// By name of the weight and operand.
    SequencedMap<String, Tally> tallies() {
        return tallies;
    }

    /// For a file: each tensor's shares and its error.
    List<Map<String, Object>> lines() {
        return tallies.entrySet().stream()
                .map(e -> {
                    Map<String, Object> line = new LinkedHashMap<>();
                    line.put("tensor", e.getKey());
                    line.put("underflow", PrecisionGap.number(e.getValue().underflow()));
                    line.put("overflow", PrecisionGap.number(e.getValue().overflow()));
                    line.put("error", PrecisionGap.number(e.getValue().error()));
                    return line;
                })
                .toList();
    }
}
