package io.jacquard.benchmarks.suite;

import java.io.PrintStream;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// The rows as a person reads them, one by one as they come.
final class Table {
    private final PrintStream out;

    Table(PrintStream out) {
        this.out = out;
    }

    void head() {
        out.printf(
                "%-58s %11s %6s %15s %5s %11s %-22s %6s %6s  %s%n",
                "row", "us", "+-", "rate", "roof", "peer us", "best peer", "ratio", "goal", "error ours / peer");
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
        String best = row.path("best_peer").asString("");
        JsonNode peer = row.path("peers").path(best);
        out.printf(
                "%-58s %11s %6s %15s %5s %11s %-22s %6s %6s  %s / %s%n",
                name,
                number(row.path("micros")),
                percent(row.path("spread")),
                rate(row),
                percent(row.path("roofline_fraction")),
                number(peer.path("micros")),
                best.isEmpty() ? "none" : best,
                number(row.path("ratio")),
                number(row.path("goal")),
                error(row.path("error_fp64")),
                error(peer.path("error_fp64")));
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
