package io.jacquard.benchmarks.suite;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// The measured roofline: the best that either side reached with a copy and with matrix products.
///
/// @param values `gigabytes_per_second`, `teraflops_bf16` ..., as in the record
record Rates(Map<String, Double> values) {
    /// Ours and, where a peer has measured its own, the better of both.
    static Rates best(Map<String, Double> ours, @Nullable JsonNode peers) {
        Map<String, Double> best = new LinkedHashMap<>();
        ours.forEach((rate, value) -> {
            double other = peers == null ? 0 : peers.path(rate).asDouble(0);
            best.put(rate, Result.round(Math.max(other, value)));
        });
        return new Rates(best);
    }

    /// The least that this work can take, in microseconds.
    double micros(long bytes, long operations, @Nullable String matrix) {
        double memory = bytes / values.getOrDefault("gigabytes_per_second", Double.NaN) / 1e3;
        double arithmetic =
                matrix == null ? 0 : operations / values.getOrDefault("teraflops_" + matrix, Double.NaN) / 1e6;
        return Math.max(memory, arithmetic);
    }
}
