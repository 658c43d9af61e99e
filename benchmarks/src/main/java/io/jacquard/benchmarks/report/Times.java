package io.jacquard.benchmarks.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import tools.jackson.databind.JsonNode;

/// Microseconds of one contender in one row, round by round.
record Times(List<double[]> rounds) {
    /// @param timed a row, or a peer in it; where it has no rounds, the samples are those of `rounds` turns, in
    /// order
    static Times of(JsonNode timed, int rounds) {
        List<double[]> parts = new ArrayList<>();
        timed.path("rounds").forEach(r -> parts.add(numbers(r)));
        if (parts.isEmpty()) {
            double[] all = numbers(timed.path("samples"));
            int turns = rounds > 0 && all.length % rounds == 0 ? rounds : 1;
            for (int i = 0; i < turns; i++) {
                parts.add(Arrays.copyOfRange(all, i * all.length / turns, (i + 1) * all.length / turns));
            }
        }
        parts.removeIf(p -> p.length == 0);
        return new Times(
                parts.isEmpty() ? List.of(new double[] {timed.path("micros").asDouble()}) : List.copyOf(parts));
    }

    private static double[] numbers(JsonNode array) {
        return array.valueStream().mapToDouble(JsonNode::asDouble).toArray();
    }

    double median() {
        double[] all = rounds.stream().flatMapToDouble(Arrays::stream).sorted().toArray();
        return middle(all, all.length);
    }

    /// The median of another run that could have been: one round fewer than there are, drawn with replacement, then
    /// times of each. One fewer, because `n` draws out of `n` rounds have a variance that is too small, by
    /// `(n - 1) / n`: much, where there are three.
    double drawMedian(SplittableRandom random) {
        int most = rounds.stream().mapToInt(r -> r.length).max().orElse(1);
        double[] drawn = new double[most * rounds.size()];
        int count = 0;
        for (int i = Math.max(1, rounds.size() - 1); i > 0; i--) {
            double[] round = rounds.get(random.nextInt(rounds.size()));
            for (int j = 0; j < round.length; j++) {
                drawn[count++] = round[random.nextInt(round.length)];
            }
        }
        Arrays.sort(drawn, 0, count);
        return middle(drawn, count);
    }

    private static double middle(double[] sorted, int count) {
        return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
    }
}
