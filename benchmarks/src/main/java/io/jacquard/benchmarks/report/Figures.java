package io.jacquard.benchmarks.report;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// What the charts of the page are drawn from: `report.js` reads it as JSON.
record Figures(Roofline roofline, List<Ratios> ratios, History.Figure history) {
    /// @param ceilings operations per second of the fastest matrix products, by type
    /// @param bandwidth bytes per second of the fastest copy; 0 for unknown
    record Roofline(List<Point> points, Map<String, Double> ceilings, double bandwidth) {}

    /// A row.
    ///
    /// @param x operations per byte
    /// @param y operations per second
    /// @param share of what the roofline allows
    record Point(String name, String family, double x, double y, double share) {}

    /// The rows of a family beside each contender.
    record Ratios(String family, List<String> rows, List<Bars> contenders) {}

    /// @param values time of the contender's fastest way over ours; null where it has none
    /// @param ways the names of those ways
    record Bars(String contender, List<@Nullable Double> values, List<String> ways) {}

    static Figures of(Run run, List<String> contenders, History history) {
        return new Figures(roofline(run), ratios(run, contenders), history.figure());
    }

    private static Roofline roofline(Run run) {
        List<Point> points = new ArrayList<>();
        run.rows().forEach((name, row) -> {
            double operations = row.path("operations").asDouble(0);
            double bytes = row.path("bytes").asDouble(0);
            if (Run.timed(row) && operations > 0 && bytes > 0) {
                points.add(new Point(
                        name,
                        Run.family(row),
                        operations / bytes,
                        operations / Run.micros(row) * 1e6,
                        row.path("roofline_fraction").asDouble(0)));
            }
        });
        Map<String, Double> ceilings = new LinkedHashMap<>();
        JsonNode rates = run.json().path("roofline");
        rates.propertyStream()
                .filter(e -> e.getKey().startsWith("teraflops_"))
                .forEach(e -> ceilings.put(
                        e.getKey().substring("teraflops_".length()) + " products",
                        e.getValue().asDouble() * 1e12));
        return new Roofline(points, ceilings, rates.path("gigabytes_per_second").asDouble(0) * 1e9);
    }

    private static List<Ratios> ratios(Run run, List<String> contenders) {
        Map<String, Map<String, JsonNode>> families = new LinkedHashMap<>();
        run.rows().forEach((name, row) -> {
            if (Run.timed(row) && !run.fastest(row).isEmpty()) {
                families.computeIfAbsent(Run.family(row), _ -> new LinkedHashMap<>())
                        .put(name, row);
            }
        });
        List<Ratios> figures = new ArrayList<>();
        families.forEach((family, rows) -> figures.add(new Ratios(
                family,
                List.copyOf(rows.keySet()),
                contenders.stream().map(c -> bars(run, rows.values(), c)).toList())));
        return figures;
    }

    private static Bars bars(Run run, Collection<JsonNode> rows, String contender) {
        List<@Nullable Double> values = new ArrayList<>();
        List<String> ways = new ArrayList<>();
        for (JsonNode row : rows) {
            Run.Way way = run.fastest(row).get(contender);
            values.add(way == null ? null : way.micros() / Run.micros(row));
            ways.add(way == null ? "" : way.name());
        }
        return new Bars(contender, values, ways);
    }
}
