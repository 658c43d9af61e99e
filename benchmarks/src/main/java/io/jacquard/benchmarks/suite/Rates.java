package io.jacquard.benchmarks.suite;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// The measured roofline: the best that either side reached with a copy and with matrix products.
///
/// @param values `gigabytes_per_second`, `teraflops_bf16` ..., as in the record
record Rates(Map<String, Double> values) {
    static Rates best(JsonNode ours, @Nullable JsonNode peers) {
        Map<String, Double> best = new LinkedHashMap<>();
        ours.properties().forEach(e -> {
            double other = peers == null ? 0 : peers.path(e.getKey()).asDouble(0);
            best.put(e.getKey(), Result.round(Math.max(other, e.getValue().asDouble())));
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
