package io.jacquard.benchmarks.report;

import java.util.SplittableRandom;

/// Times of one thing in two results.
record Pair(String name, Times before, Times after) {
    static final int DRAWS = 1000;

    /// The logarithm of time before over time after.
    double log() {
        return Math.log(before.median() / after.median());
    }

    /// The same of other runs that could have been. The seed is the name: a row comes out the same whatever else is
    /// compared with it.
    double[] draws() {
        SplittableRandom random = new SplittableRandom(name.hashCode());
        double[] logs = new double[DRAWS];
        for (int i = 0; i < DRAWS; i++) {
            logs[i] = Math.log(before.drawMedian(random) / after.drawMedian(random));
        }
        return logs;
    }
}
