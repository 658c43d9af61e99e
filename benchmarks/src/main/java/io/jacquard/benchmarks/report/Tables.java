package io.jacquard.benchmarks.report;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import tools.jackson.databind.JsonNode;

/// The tables of one run, as the template takes them.
final class Tables {
    /// One place of a table.
    ///
    /// @param value what it is sorted by; empty for its text
    /// @param hint what is said of it on demand
    record Cell(String text, String value, String hint) {
        static final Cell NONE = new Cell(Words.NONE, "", "");

        static Cell of(String text, double value) {
            return of(text, value, "");
        }

        static Cell of(String text, double value, String hint) {
            return new Cell(text, Double.toString(value), hint);
        }
    }

    /// A line of a table. A row without a time has words in place of the cells.
    record Line(String name, List<Cell> cells, String instead) {}

    private final Run run;
    private final List<String> contenders;

    Tables(Run run) {
        this.run = run;
        Set<String> seen = new LinkedHashSet<>();
        run.rows().values().forEach(row -> seen.addAll(run.fastest(row).keySet()));
        List<String> ordered = new ArrayList<>(run.contenders().keySet());
        ordered.retainAll(seen);
        seen.removeAll(ordered);
        ordered.addAll(seen);
        contenders = List.copyOf(ordered);
    }

    /// Those that did a row, in the record's order.
    List<String> contenders() {
        return contenders;
    }

    /// Every row: times, rates, ratios, error, allocation.
    List<Line> rows() {
        List<Line> lines = new ArrayList<>();
        run.rows()
                .forEach((name, row) -> lines.add(
                        Run.timed(row) ? new Line(name, cells(row), "") : new Line(name, List.of(), missing(row))));
        return lines;
    }

    /// How many cells a line of [#rows] has.
    int width() {
        return 6 + contenders.size();
    }

    private static String missing(JsonNode row) {
        String why = row.path("why").asString("");
        return row.path("status").asString("not timed") + (why.isEmpty() ? "" : ": " + why);
    }

    private List<Cell> cells(JsonNode row) {
        double micros = Run.micros(row);
        List<Cell> cells = new ArrayList<>();
        cells.add(Cell.of(Words.number(micros), micros, row.path("samples").size() + " times"));
        cells.add(interval(row));
        cells.add(new Cell(Words.rate(row), "", ""));
        double roof = row.path("roofline_fraction").asDouble(0);
        cells.add(roof > 0 ? Cell.of(Words.percent(roof), roof) : Cell.NONE);
        Map<String, Run.Way> fastest = run.fastest(row);
        for (String contender : contenders) {
            Run.Way way = fastest.get(contender);
            cells.add(
                    way == null
                            ? Cell.NONE
                            : Cell.of(
                                    Words.ratio(way.micros() / micros),
                                    way.micros() / micros,
                                    way.name() + ", " + Words.number(way.micros()) + " µs"));
        }
        cells.add(error(row));
        cells.add(
                row.has("allocated_bytes")
                        ? Cell.of(
                                Words.bytes(row.path("allocated_bytes").asDouble()),
                                row.path("allocated_bytes").asDouble())
                        : Cell.NONE);
        return cells;
    }

    private static Cell interval(JsonNode timed) {
        if (timed.has("low")) {
            double low = timed.path("low").asDouble();
            return Cell.of(
                    Words.number(low) + "–" + Words.number(timed.path("high").asDouble()), low);
        }
        double spread = timed.path("spread").asDouble();
        return timed.has("spread")
                ? Cell.of("± " + Words.percent(spread), spread, "distance of the quartiles over the median")
                : Cell.NONE;
    }

    private static Cell error(JsonNode timed) {
        if (!timed.has("error_fp64")) {
            return Cell.NONE;
        }
        double error = timed.path("error_fp64").asDouble();
        return Cell.of(
                Words.error(error),
                error,
                timed.has("error_allowed")
                        ? "allowed: " + Words.error(timed.path("error_allowed").asDouble())
                        : "");
    }

    /// Every way of every contender, those that failed too.
    List<Line> ways() {
        List<Line> lines = new ArrayList<>();
        run.rows()
                .forEach((name, row) -> row.path("peers").propertyStream().forEach(e -> {
                    JsonNode peer = e.getValue();
                    double ratio = Run.micros(peer) / Run.micros(row);
                    lines.add(
                            Run.timed(peer)
                                    ? new Line(
                                            name,
                                            List.of(
                                                    new Cell(e.getKey(), "", ""),
                                                    Cell.of(Words.number(Run.micros(peer)), Run.micros(peer)),
                                                    interval(peer),
                                                    Run.timed(row) ? Cell.of(Words.ratio(ratio), ratio) : Cell.NONE,
                                                    error(peer)),
                                            "")
                                    : new Line(name, List.of(new Cell(e.getKey(), "", "")), missing(peer)));
                }));
        return lines;
    }

    /// Geometric means of the ratios to the fastest way of each contender, by family and of all rows.
    List<Line> summary() {
        Map<String, Map<String, List<Double>>> families = new LinkedHashMap<>();
        for (JsonNode row : run.rows().values()) {
            if (Run.timed(row)) {
                run.fastest(row).forEach((contender, way) -> {
                    double log = Math.log(way.micros() / Run.micros(row));
                    for (String family : List.of(Run.family(row), "all rows")) {
                        families.computeIfAbsent(family, _ -> new TreeMap<>())
                                .computeIfAbsent(contender, _ -> new ArrayList<>())
                                .add(log);
                    }
                });
            }
        }
        Map<String, List<Double>> all = families.remove("all rows");
        if (all != null) {
            families.put("all rows", all);
        }
        List<Line> lines = new ArrayList<>();
        families.forEach((family, logs) -> lines.add(new Line(
                family,
                contenders.stream()
                        .map(c -> mean(logs.getOrDefault(c, List.of())))
                        .toList(),
                "")));
        return lines;
    }

    private static Cell mean(List<Double> logs) {
        if (logs.isEmpty()) {
            return Cell.NONE;
        }
        double mean = Math.exp(
                logs.stream().mapToDouble(Double::doubleValue).average().orElseThrow());
        return Cell.of(Words.ratio(mean), mean, logs.size() + (logs.size() == 1 ? " row" : " rows"));
    }
}
