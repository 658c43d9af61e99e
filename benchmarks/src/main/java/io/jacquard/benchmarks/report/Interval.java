package io.jacquard.benchmarks.report;

import java.util.Arrays;
import java.util.Locale;
import org.apache.commons.math3.distribution.NormalDistribution;

/// A ratio, and between what it lies with 95 %.
public record Interval(double ratio, double low, double high) {
    private static final NormalDistribution NORMAL = new NormalDistribution();

    /// @param draws logarithms of ratios of other runs that could have been
    /// @param together how many intervals are to hold at once: each is as much wider as it would be of a normal
    ///     distribution (Bonferroni), since the draws of some rounds have no tails to take it from
    static Interval of(double log, double[] draws, int together) {
        double[] sorted = draws.clone();
        Arrays.sort(sorted);
        int tail = sorted.length / 40;
        double wider = quantile(0.05 / together) / quantile(0.05);
        return new Interval(
                Math.exp(log),
                Math.exp(log - wider * (log - sorted[tail])),
                Math.exp(log + wider * (sorted[sorted.length - 1 - tail] - log)));
    }

    private static double quantile(double missed) {
        return NORMAL.inverseCumulativeProbability(1 - missed / 2);
    }

    /// The ratio, for a person.
    String text() {
        return String.format(Locale.ROOT, "%.3f", ratio);
    }

    /// Its ends, for a person.
    String range() {
        return String.format(Locale.ROOT, "%.3f to %.3f", low, high);
    }
}
