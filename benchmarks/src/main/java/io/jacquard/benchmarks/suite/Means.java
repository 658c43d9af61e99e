package io.jacquard.benchmarks.suite;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/// Geometric means of the ratios to each peer, of the fastest of its ways in each row.
final class Means {
    private final List<String> peers;
    private final Map<String, Double> logarithms = new LinkedHashMap<>();
    private final Map<String, Integer> counts = new LinkedHashMap<>();

    Means(List<String> peers) {
        this.peers = peers;
    }

    /// Takes in a row.
    ///
    /// @return its ratio to each peer that has one
    Map<String, Double> add(JsonNode row) {
        Map<String, Double> ratios = new LinkedHashMap<>();
        for (String peer : peers) {
            row.path("peers").properties().stream()
                    .filter(e -> (e.getKey() + " ").startsWith(peer + " "))
                    .filter(e -> e.getValue().has("ratio"))
                    .mapToDouble(e -> e.getValue().get("ratio").asDouble())
                    .min()
                    .ifPresent(ratio -> ratios.put(peer, ratio));
        }
        ratios.forEach((peer, ratio) -> {
            logarithms.merge(peer, Math.log(ratio), Double::sum);
            counts.merge(peer, 1, Integer::sum);
        });
        return ratios;
    }

    /// Of the rows so far.
    Map<String, Double> values() {
        Map<String, Double> means = new LinkedHashMap<>();
        logarithms.forEach((peer, sum) -> means.put(peer, Result.round(Math.exp(sum / counts.getOrDefault(peer, 1)))));
        return means;
    }
}
