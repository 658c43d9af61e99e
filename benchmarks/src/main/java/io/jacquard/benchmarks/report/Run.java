package io.jacquard.benchmarks.report;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import tools.jackson.databind.JsonNode;

/// A record as it lies in its file, of format 2 or 1.
record Run(JsonNode json) {
    /// What two runs have in common whose times can be compared.
    static final List<String> MACHINE = List.of("machine", "device", "dtype", "cpu", "processors");

    /// A way in which a contender does a row, such as `pytorch eager`.
    record Way(String name, double micros) {}

    /// The rows by their names, in order.
    Map<String, JsonNode> rows() {
        Map<String, JsonNode> rows = new LinkedHashMap<>();
        json.path("rows").forEach(row -> rows.put(row.path("name").asString("?"), row));
        return rows;
    }

    static boolean timed(JsonNode rowOrPeer) {
        return rowOrPeer.path("micros").asDouble(0) > 0;
    }

    static double micros(JsonNode rowOrPeer) {
        return rowOrPeer.path("micros").asDouble();
    }

    static String family(JsonNode row) {
        return row.path("family").asString(row.path("spec").path("kind").asString("other"));
    }

    Times times(JsonNode rowOrPeer) {
        return Times.of(rowOrPeer, json.path("protocol").path("rounds").asInt(1));
    }

    /// The contenders beside us with what is known of them. Format 1 knows of PyTorch alone.
    Map<String, JsonNode> contenders() {
        Map<String, JsonNode> contenders = new LinkedHashMap<>();
        json.path("contenders").propertyStream().forEach(e -> contenders.put(e.getKey(), e.getValue()));
        if (contenders.isEmpty() && json.has("peer")) {
            contenders.put("pytorch", json.path("peer"));
        }
        return contenders;
    }

    /// Whose way of doing a row this is: `pytorch` of `pytorch eager`. In format 1 all ways are PyTorch's.
    String contender(String peer) {
        return contenders().keySet().stream()
                .filter(name -> (peer + " ").startsWith(name + " "))
                .findFirst()
                .orElse(json.has("peer") ? "pytorch" : peer);
    }

    /// The fastest way of each contender that has one for this row.
    Map<String, Way> fastest(JsonNode row) {
        Map<String, Way> fastest = new TreeMap<>();
        row.path("peers")
                .propertyStream()
                .filter(e -> timed(e.getValue()))
                .forEach(e -> fastest.merge(
                        contender(e.getKey()),
                        new Way(e.getKey(), micros(e.getValue())),
                        (a, b) -> a.micros <= b.micros ? a : b));
        return fastest;
    }

    boolean sameMachine(Run other) {
        return MACHINE.stream().allMatch(key -> json.path(key).equals(other.json.path(key)));
    }

    String text(String key) {
        return json.path(key).asString("");
    }

    /// Where it comes from, for a person.
    String origin() {
        return text("date") + ", commit " + text("commit") + ", Java " + text("java");
    }
}
