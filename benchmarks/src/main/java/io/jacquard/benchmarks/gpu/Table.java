package io.jacquard.benchmarks.gpu;

import java.io.PrintStream;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

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

    void row(Map<String, @Nullable Object> row) {
        String name = (String) row.get("name");
        if (row.get("why") != null) {
            out.printf("%-58s %s: %s%n", name, row.get("status"), row.get("why"));
            return;
        }
        Map<?, ?> peers = (Map<?, ?>) row.getOrDefault("peers", Map.of());
        Object best = row.get("best_peer");
        Map<?, ?> peer = best == null ? Map.of() : (Map<?, ?>) peers.get(best);
        Object rate = row.get("tokens_per_second");
        String unit = "tok/s";
        if (rate == null) {
            rate = row.get("teraflops");
            unit = "TFLOP/s";
        }
        if (rate == null) {
            rate = row.get("gigabytes_per_second");
            unit = "GB/s";
        }
        out.printf(
                "%-58s %11s %6s %15s %5s %11s %-22s %6s %6s  %s / %s%n",
                name,
                number(row.get("micros")),
                percent(row.get("spread")),
                number(rate) + " " + unit,
                percent(row.get("roofline_fraction")),
                number(peer.get("micros")),
                best == null ? "none" : best,
                number(row.get("ratio")),
                number(row.get("goal")),
                error(row.get("error_fp64")),
                error(peer.get("error_fp64")));
    }

    private static String number(@Nullable Object value) {
        return value == null ? "-" : String.format(Locale.ROOT, "%.4g", value);
    }

    private static String percent(@Nullable Object value) {
        return value == null ? "-" : String.format(Locale.ROOT, "%.0f%%", 100 * (Double) value);
    }

    private static String error(@Nullable Object value) {
        return value == null ? "-" : String.format(Locale.ROOT, "%.1e", value);
    }
}
