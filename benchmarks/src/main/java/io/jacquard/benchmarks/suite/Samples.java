package io.jacquard.benchmarks.suite;

import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;

/// Times of one contender in one row, over all of its turns.
final class Samples {
    private final List<Double> micros = new ArrayList<>();

    void add(JsonNode value) {
        if (value.isArray()) {
            value.forEach(n -> micros.add(n.asDouble()));
        } else {
            micros.add(value.asDouble());
        }
    }

    void addAll(Samples turn) {
        micros.addAll(turn.micros);
    }

    int count() {
        return micros.size();
    }

    /// All of them, to a nanosecond.
    List<Double> all() {
        return micros.stream().map(m -> Math.round(m * 1000) / 1000.0).toList();
    }

    double median() {
        return quantile(0.5);
    }

    /// The distance of the quartiles as a share of the median.
    double spread() {
        return (quantile(0.75) - quantile(0.25)) / median();
    }

    private double quantile(double q) {
        double[] sorted =
                micros.stream().mapToDouble(Double::doubleValue).sorted().toArray();
        double at = q * (sorted.length - 1);
        int below = (int) Math.floor(at);
        int above = Math.min(sorted.length - 1, below + 1);
        return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
    }
}
