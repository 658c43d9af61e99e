package io.jacquard.benchmarks.suite;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// What came of one row, as it goes into the record.
final class Result {
    /// Both were timed.
    static final String MEASURED = "measured";
    /// Ours was timed; the record says why the peer was not.
    static final String ALONE = "no peer";
    /// Ours is wrong: no time is given.
    static final String REFUSED = "refused";
    /// Ours did not run.
    static final String FAILED = "failed";

    private final Map<String, @Nullable Object> row = new LinkedHashMap<>();
    private final Map<String, Object> peers = new LinkedHashMap<>();
    private final Rates rates;
    private final Optional<Goal> speedGoal;
    private final Optional<Goal> memoryGoal;
    private @Nullable Samples ours;
    private @Nullable String best;
    private double bestMicros = Double.POSITIVE_INFINITY;
    private double goalMicros = Double.POSITIVE_INFINITY;
    private double goalMemory = Double.POSITIVE_INFINITY;

    /// @param goals of which shapes, those of [Rows.Scale#TINY] having none
    Result(Row of, Rates rates, Rows.Scale goals) {
        this.rates = rates;
        speedGoal = Goal.speedOf(goals, of.name());
        memoryGoal = Goal.memoryOf(goals, of.name());
        row.put("name", of.name());
        row.put("family", of.family());
        row.put("spec", of.spec());
        row.put("status", FAILED);
    }

    @Nullable
    Object get(String key) {
        return row.get(key);
    }

    void put(String key, @Nullable Object value) {
        row.put(key, value);
    }

    void end(String status, String why) {
        row.put("status", status);
        row.put("why", why);
    }

    /// What ours took.
    void ours(Samples samples) {
        ours = samples;
        row.put("status", peers.isEmpty() ? ALONE : MEASURED);
        row.put("micros", round(samples.median()));
        row.put("spread", round(samples.spread()));
        row.put("low", round(samples.low()));
        row.put("high", round(samples.high()));
        row.put("rounds", samples.rounds());
        if (row.get("bytes") instanceof Long bytes && row.get("operations") instanceof Long operations) {
            Object matrix = row.get("matrix");
            if (matrix == null) {
                row.put("gigabytes_per_second", round(bytes / samples.median() / 1e3));
            } else {
                row.put("teraflops", round(operations / samples.median() / 1e6));
            }
            double least = rates.micros(bytes, operations, matrix == null ? null : matrix.toString());
            row.put("roofline_fraction", round(least / samples.median()));
        }
    }

    /// A way of the peer that could not be timed, or is wrong.
    void peerFailed(String variant, String why, @Nullable Double error) {
        Map<String, @Nullable Object> p = new LinkedHashMap<>();
        p.put("status", error == null ? FAILED : REFUSED);
        p.put("why", why);
        p.put("error_fp64", error);
        peers.put(variant, p);
    }

    /// A way of the peer, with what else is known of it.
    void peer(String variant, Samples samples, Map<String, Object> more) {
        Map<String, Object> p = new LinkedHashMap<>(more);
        double median = samples.median();
        p.put("status", MEASURED);
        p.put("micros", round(median));
        p.put("spread", round(samples.spread()));
        p.put("rounds", samples.rounds());
        peers.put(variant, p);
        if (median < bestMicros) {
            bestMicros = median;
            best = variant;
        }
        speedGoal.filter(g -> g.countsAgainst(variant)).ifPresent(_ -> goalMicros = Math.min(goalMicros, median));
        memoryGoal
                .filter(g -> g.countsAgainst(variant))
                .ifPresent(_ -> goalMemory =
                        Math.min(goalMemory, ((Number) more.getOrDefault("peak_bytes", 0L)).doubleValue()));
    }

    /// Ratios and goals, when both sides are known.
    Map<String, @Nullable Object> finish() {
        row.put("peers", peers);
        Samples mine = ours;
        if (mine != null) {
            peers.values().forEach(p -> addRatio(p, mine));
        }
        if (mine != null && best != null) {
            row.put("status", MEASURED);
            row.put("best_peer", best);
            row.put("ratio", round(bestMicros / mine.median()));
        } else if (mine != null) {
            row.put("status", ALONE);
        }
        speedGoal.ifPresent(g -> {
            row.put("goal", g.ratio());
            row.put("goal_against", g.words());
            if (mine != null && Double.isFinite(goalMicros)) {
                row.put("goal_ratio", round(goalMicros / mine.median()));
            }
        });
        memoryGoal.ifPresent(g -> {
            row.put("memory_goal", g.ratio());
            if (row.get("peak_bytes") instanceof Long bytes && goalMemory > 0 && Double.isFinite(goalMemory)) {
                row.put("memory_ratio", round(bytes / goalMemory));
            }
        });
        return row;
    }

    private static void addRatio(Object peer, Samples mine) {
        @SuppressWarnings("unchecked") // made here
        Map<String, Object> p = (Map<String, Object>) peer;
        if (p.get("micros") instanceof Double micros) {
            p.put("ratio", round(micros / mine.median()));
        }
    }

    /// Four digits: times carry no more.
    static double round(double value) {
        if (value == 0 || !Double.isFinite(value)) {
            return 0;
        }
        double unit = Math.pow(10, Math.floor(Math.log10(Math.abs(value))) - 3);
        return Double.parseDouble(String.format(Locale.ROOT, "%.6g", Math.round(value / unit) * unit));
    }
}
