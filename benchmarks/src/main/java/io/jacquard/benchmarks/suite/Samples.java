package io.jacquard.benchmarks.suite;

import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;

/// Times of one contender in one row, turn by turn.
final class Samples {
    private final List<Double> micros = new ArrayList<>();
    private final List<List<Double>> rounds = new ArrayList<>();

    /// Times of a turn: a number or several.
    void add(JsonNode value) {
        List<Double> turn = new ArrayList<>();
        if (value.isArray()) {
            value.forEach(n -> turn.add(n.asDouble()));
        } else {
            turn.add(value.asDouble());
        }
        addRound(turn);
    }

    void addRound(List<Double> turn) {
        micros.addAll(turn);
        rounds.add(turn.stream().map(Samples::nanosecond).toList());
    }

    int count() {
        return micros.size();
    }

    /// All of them, to a nanosecond.
    List<Double> all() {
        return micros.stream().map(Samples::nanosecond).toList();
    }

    /// The same by turns, which are what repeats with interleaving.
    List<List<Double>> rounds() {
        return rounds;
    }

    private static double nanosecond(double m) {
        return Math.round(m * 1000) / 1000.0;
    }

    double median() {
        return quantile(0.5);
    }

    /// The distance of the quartiles as a share of the median.
    double spread() {
        return (quantile(0.75) - quantile(0.25)) / median();
    }

    /// The median's 95 % interval, lower end: the order statistics between which a binomial puts it, whatever the
    /// distribution of the times (Conover, Practical Nonparametric Statistics, section 3.2).
    double low() {
        return sorted()[Math.max(0, (int) Math.floor(micros.size() / 2.0 - reach()))];
    }

    /// The upper end.
    double high() {
        return sorted()[Math.min(micros.size() - 1, (int) Math.ceil(micros.size() / 2.0 + reach()) - 1)];
    }

    private double reach() {
        return 1.96 * Math.sqrt(micros.size()) / 2;
    }

    private double[] sorted() {
        return micros.stream().mapToDouble(Double::doubleValue).sorted().toArray();
    }

    private double quantile(double q) {
        double[] sorted = sorted();
        double at = q * (sorted.length - 1);
        int below = (int) Math.floor(at);
        int above = Math.min(sorted.length - 1, below + 1);
        return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
    }
}
