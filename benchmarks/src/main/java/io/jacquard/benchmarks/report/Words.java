package io.jacquard.benchmarks.report;

import java.util.Locale;
import tools.jackson.databind.JsonNode;

/// Figures as a person reads them.
final class Words {
    static final String NONE = "–";

    private Words() {}

    /// Four digits, thousands apart.
    static String number(double value) {
        double size = Math.abs(value);
        if (!Double.isFinite(value)) {
            return NONE;
        }
        String format =
                size >= 1000 ? "%,.0f" : size >= 100 ? "%.1f" : size >= 10 ? "%.2f" : size >= 1 ? "%.3f" : "%.4f";
        return String.format(Locale.ROOT, format, value);
    }

    static String ratio(double value) {
        return String.format(Locale.ROOT, value >= 10 ? "%.1f" : "%.2f", value);
    }

    static String percent(double share) {
        return String.format(Locale.ROOT, "%.0f %%", 100 * share);
    }

    static String error(double value) {
        return value == 0 ? "0" : String.format(Locale.ROOT, "%.1e", value);
    }

    static String bytes(double value) {
        String[] units = {"B", "KiB", "MiB", "GiB"};
        int unit = 0;
        double left = value;
        while (left >= 1024 && unit < units.length - 1) {
            left /= 1024;
            unit++;
        }
        return String.format(Locale.ROOT, left >= 10 || unit == 0 ? "%.0f %s" : "%.1f %s", left, units[unit]);
    }

    /// The rate that suits a row: of tokens, of arithmetic or of memory.
    static String rate(JsonNode row) {
        if (row.has("tokens_per_second")) {
            return number(row.path("tokens_per_second").asDouble()) + " tokens/s";
        }
        if (row.has("teraflops")) {
            double teraflops = row.path("teraflops").asDouble();
            return teraflops < 1 ? number(1000 * teraflops) + " GFLOP/s" : number(teraflops) + " TFLOP/s";
        }
        return row.has("gigabytes_per_second")
                ? number(row.path("gigabytes_per_second").asDouble()) + " GB/s"
                : NONE;
    }

    /// The values of a small object: `torch 2.13.0, threads 2`.
    static String pairs(JsonNode object) {
        StringBuilder text = new StringBuilder();
        object.propertyStream()
                .forEach(e -> text.append(text.isEmpty() ? "" : ", ")
                        .append(e.getKey().replace('_', ' '))
                        .append(' ')
                        .append(
                                e.getValue().isValueNode()
                                        ? e.getValue().asString()
                                        : e.getValue().toString()));
        return text.toString();
    }
}
