package io.jacquard.benchmarks.report;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.Formatter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;

/// Two recorded runs, row by row: what became slower or faster by more than noise.
///
/// **The ratio** of a row is the median of its times before over that after: above 1 is faster now. Two runs never see
/// the same machine: another tenant, another clock, another temperature. What the peers gained, which did not change,
/// is the machine's gain ([Drift]); it is taken out of every ratio.
///
/// **Its interval** is of a bootstrap in two stages: rounds are drawn with replacement, then times of each drawn round.
/// Times of one round are of one JVM, back to back: they share what its compiler took for hot, a clock and neighbours,
/// so that fifteen times of three rounds tell far less than fifteen independent ones; contenders take turns by rounds,
/// which makes a round the smallest part of a run that repeats. The drift is drawn along with it. Draws have a fixed
/// seed, so that two files always say the same.
///
/// The intervals of all rows hold at once, in 95 of 100 comparisons, since one false alarm among thirty rows is one too
/// many.
///
/// **The verdict** is *slower* or *faster* when the whole interval lies beyond the threshold. The interval knows what
/// rounds of a run differ by; what whole runs differ by besides, such as where pages came to lie, shows in no single
/// run and is what the threshold stands for. It is larger than told where the peers, which did not change, differ by
/// more.
///
/// Simulated with thirty rows and three rounds of five times: where rounds differ by 1 % and times in them by 2 %
/// (standard deviations), no comparison of a hundred has a false *slower*, and a row that takes 10 % longer is found in
/// 80; where they differ by 10 and 5 %, one has, and it is found in one: a machine that noisy can tell little.
public final class Comparison {
    /// For [#of]: 3 %.
    public static final double THRESHOLD = 0.03;

    /// What is said of a row.
    public enum Verdict {
        SLOWER,
        FASTER,
        SAME;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /// One row that both runs timed.
    ///
    /// @param ratio time before over time after, without the machine's drift
    public record Row(String name, double microsBefore, double microsAfter, Interval ratio, Verdict verdict) {}

    private final Run before;
    private final Run after;
    private final double threshold;
    private final Drift drift;
    private final List<Row> rows = new ArrayList<>();
    private final Map<String, String> leftOut = new LinkedHashMap<>();
    private final double[] meanDraws = new double[Pair.DRAWS];

    private Comparison(Run before, Run after, double threshold) {
        this.before = before;
        this.after = after;
        this.threshold = threshold;
        drift = Drift.between(before, after);
        compare();
    }

    /// @param threshold the change for which no verdict is given, as a share: 0.03 for 3 %
    /// @throws IllegalArgumentException where one is no record of `bench`, or the two are not of the same machine
    public static Comparison of(JsonNode before, JsonNode after, double threshold) {
        for (JsonNode record : List.of(before, after)) {
            String benchmark = record.path("benchmark").asString("");
            if (!benchmark.endsWith("bench")) {
                throw new IllegalArgumentException(
                        "compare: a record of '" + benchmark + "', expected one that `bench --out FILE` wrote");
            }
        }
        List<String> differences = Run.MACHINE.stream()
                .filter(key -> !before.path(key).equals(after.path(key)))
                .map(key -> key + " " + word(before.path(key)) + " before, " + word(after.path(key)) + " after")
                .toList();
        if (!differences.isEmpty()) {
            throw new IllegalArgumentException("compare: the results do not belong together: "
                    + String.join("; ", differences) + "; record both on one machine with one --dtype");
        }
        return new Comparison(new Run(before), new Run(after), threshold);
    }

    private static String word(JsonNode value) {
        return value.isMissingNode() ? "unknown" : value.asString();
    }

    private void compare() {
        Map<String, JsonNode> later = new LinkedHashMap<>(after.rows());
        List<Pair> pairs = new ArrayList<>();
        before.rows().forEach((name, row) -> {
            JsonNode now = later.remove(name);
            if (now == null) {
                leftOut.put(name, "only before");
            } else if (Run.timed(row) && Run.timed(now)) {
                pairs.add(new Pair(name, before.times(row), after.times(now)));
            } else {
                leftOut.put(name, state(row) + " before, " + state(now) + " after");
            }
        });
        later.forEach((name, row) -> leftOut.put(name, "only after" + (Run.timed(row) ? "" : ", " + state(row))));
        for (Pair pair : pairs) {
            double[] draws = pair.draws();
            for (int i = 0; i < draws.length; i++) {
                draws[i] -= drift.draws()[i];
                meanDraws[i] += draws[i] / pairs.size();
            }
            Interval ratio = Interval.of(pair.log() - drift.log(), draws, pairs.size());
            rows.add(new Row(pair.name(), pair.before().median(), pair.after().median(), ratio, verdict(ratio)));
        }
        rows.sort(Comparator.comparingDouble(r -> r.ratio().ratio()));
    }

    private static String state(JsonNode row) {
        if (Run.timed(row)) {
            return "timed";
        }
        String why = row.path("why").asString("");
        return row.path("status").asString("no time") + (why.isEmpty() ? "" : " (" + why + ")");
    }

    private Verdict verdict(Interval ratio) {
        double limit = 1 + limit();
        return ratio.high() < 1 / limit ? Verdict.SLOWER : ratio.low() > limit ? Verdict.FASTER : Verdict.SAME;
    }

    private double limit() {
        return Math.max(threshold, Math.expm1(drift.noise()));
    }

    /// The rows that both runs timed, the worst first.
    public List<Row> rows() {
        return List.copyOf(rows);
    }

    /// The other rows, with what became of them in either run.
    public Map<String, String> leftOut() {
        return new LinkedHashMap<>(leftOut);
    }

    /// Whether a row is slower by more than noise.
    public boolean slower() {
        return count(Verdict.SLOWER) > 0;
    }

    long count(Verdict verdict) {
        return rows.stream().filter(r -> r.verdict() == verdict).count();
    }

    /// The geometric mean of the ratios.
    public Interval mean() {
        double log = rows.stream()
                .mapToDouble(r -> Math.log(r.ratio().ratio()))
                .average()
                .orElse(0);
        return Interval.of(log, meanDraws, 1);
    }

    /// What a terminal shows.
    public String text() {
        Formatter text = new Formatter(Locale.ROOT);
        head().forEach(line -> text.format("%s%n", line));
        int width = Stream.concat(rows.stream().map(Row::name), leftOut.keySet().stream())
                .mapToInt(String::length)
                .max()
                .orElse(3);
        String name = "%-" + width + "s ";
        text.format(
                "%n" + name + "%11s %11s %7s  %-16s %s%n", "row", "us before", "us after", "ratio", "95 %", "verdict");
        for (Row row : rows) {
            text.format(
                    name + "%11s %11s %7s  %-16s %s%n",
                    row.name(),
                    Words.number(row.microsBefore()),
                    Words.number(row.microsAfter()),
                    row.ratio().text(),
                    row.ratio().range(),
                    row.verdict());
        }
        leftOut.forEach((row, why) -> text.format(name + "%s%n", row, why));
        summary().forEach(line -> text.format("%s%n", line));
        return text.toString();
    }

    /// What was compared, and what the machine did meanwhile.
    List<String> head() {
        return List.of(
                "before: " + before.origin(),
                "after:  " + after.origin(),
                String.format(
                        Locale.ROOT,
                        "machine: %.3f of its speed before, by %s; taken out of the ratios",
                        Math.exp(drift.log()),
                        drift.by()));
    }

    /// What is to be said of all rows.
    List<String> summary() {
        if (rows.isEmpty()) {
            return List.of("no row was timed in both");
        }
        return List.of(
                String.format(
                        Locale.ROOT,
                        "%d slower, %d faster, %d the same within %.1f %%%s; ratio: time before over after, above 1 is"
                                + " faster now",
                        count(Verdict.SLOWER),
                        count(Verdict.FASTER),
                        count(Verdict.SAME),
                        100 * limit(),
                        limit() > threshold ? ", which peers differ by too" : ""),
                "geometric mean of " + rows.size() + ": " + mean().text() + " (" + mean().range() + ")");
    }
}
