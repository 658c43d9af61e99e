package io.jacquard.benchmarks.suite;

import java.io.PrintStream;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// The rows as a person reads them, one by one as they come, and the geometric means at the end.
final class Table {
    private final PrintStream out;
    private final List<String> peers;
    private final Means means;
    private final Set<String> told = new HashSet<>();

    /// @param peers by name, a column each: the fastest way of each counts
    Table(PrintStream out, List<String> peers) {
        this.out = out;
        this.peers = peers;
        means = new Means(peers);
    }

    void head() {
        out.printf("%-58s %11s %6s %16s %5s", "row", "us", "+-", "rate", "roof");
        peers.forEach(p -> out.printf(" %8s", p));
        out.printf(" %6s %7s  %s%n", "goal", "B/run", "error");
    }

    void row(Map<String, @Nullable Object> values) {
        JsonNode row = Lines.JSON.valueToTree(values);
        String name = row.path("name").asString("");
        if (row.has("why")) {
            out.printf(
                    "%-58s %s: %s%n",
                    name, row.path("status").asString(""), row.path("why").asString(""));
            return;
        }
        out.printf(
                "%-58s %11s %6s %16s %5s",
                name,
                number(row.path("micros")),
                percent(row.path("spread")),
                rate(row),
                percent(row.path("roofline_fraction")));
        Map<String, Double> ratios = means.add(row);
        for (String peer : peers) {
            Double ratio = ratios.get(peer);
            out.printf(" %8s", ratio == null ? "-" : String.format(Locale.ROOT, "%.2f", ratio));
        }
        out.printf(
                " %6s %7s  %s%n",
                number(row.path("goal")), number(row.path("allocated_bytes")), error(row.path("error_fp64")));
        row.path("peers").properties().forEach(p -> {
            if (!ratios.containsKey(p.getKey().replaceFirst(" .*", ""))) {
                why(p.getKey(), p.getValue().path("why").asString(""));
            }
        });
    }

    /// Why a peer has no figure, once for each reason.
    private void why(String way, String why) {
        if (told.add(way + why)) {
            out.println("    " + way + ": " + why);
        }
    }

    /// Names the rows that were left out.
    void skipped(List<String> rows) {
        if (!rows.isEmpty()) {
            out.printf(
                    "not run, out of time: %d rows, from '%s' to '%s'; a larger --budget or a --filter has them%n",
                    rows.size(), rows.getFirst(), rows.getLast());
        }
    }

    /// Ends the table.
    ///
    /// @return the geometric mean of the ratios to each peer
    Map<String, Double> end() {
        Map<String, Double> all = new LinkedHashMap<>(means.values());
        out.printf("%-58s %11s %6s %16s %5s", "geometric mean", "", "", "", "");
        for (String peer : peers) {
            Double mean = all.get(peer);
            out.printf(" %8s", mean == null ? "-" : String.format(Locale.ROOT, "%.2f", mean));
        }
        out.println();
        out.println(
                "us: median of a run; roof: of the measured roofline; columns of peers: their time over ours, above 1"
                        + " we are faster; B/run: heap allocated; error: the largest, against doubles.");
        return all;
    }

    private static String rate(JsonNode row) {
        if (row.has("tokens_per_second")) {
            return number(row.get("tokens_per_second")) + " tok/s";
        }
        return row.has("teraflops")
                ? number(row.get("teraflops")) + " TFLOP/s"
                : number(row.path("gigabytes_per_second")) + " GB/s";
    }

    private static String number(JsonNode value) {
        return value.isMissingNode() ? "-" : String.format(Locale.ROOT, "%.4g", value.asDouble());
    }

    private static String percent(JsonNode value) {
        return value.isMissingNode() ? "-" : String.format(Locale.ROOT, "%.0f%%", 100 * value.asDouble());
    }

    private static String error(JsonNode value) {
        return value.isMissingNode() ? "-" : String.format(Locale.ROOT, "%.1e", value.asDouble());
    }
}
