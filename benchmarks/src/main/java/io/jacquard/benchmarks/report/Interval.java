package io.jacquard.benchmarks.report;

import java.util.Arrays;
import java.util.Locale;

/// A ratio, and between what it lies in 95 % of the draws.
public record Interval(double ratio, double low, double high) {
    static Interval of(double log, double[] draws) {
        double[] sorted = draws.clone();
        Arrays.sort(sorted);
        int tail = sorted.length / 40;
        return new Interval(Math.exp(log), Math.exp(sorted[tail]), Math.exp(sorted[sorted.length - 1 - tail]));
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
