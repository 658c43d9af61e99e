package io.jacquard.benchmarks.report;

import io.jacquard.benchmarks.report.Tables.Cell;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.MissingNode;

/// Runs of one machine in the order of their dates, and the rows that more than one of them timed.
final class History {
    /// For the chart of `report.js`.
    record Figure(List<String> runs, List<Family> families) {}

    record Family(String family, List<Line> rows) {}

    /// A row through all runs: times, and ratios to the fastest peer.
    record Line(String name, List<@Nullable Double> micros, List<@Nullable Double> ratios) {}

    private final List<Run> runs;
    private final Map<String, List<JsonNode>> rows = new LinkedHashMap<>();

    /// @param records any; those of other benchmarks and machines, and copies of `current`, are left out
    History(List<JsonNode> records, Run current) {
        List<Run> same = new ArrayList<>();
        same.add(current);
        records.stream()
                .map(Run::new)
                .filter(r -> r.text("benchmark").endsWith("bench") && r.sameMachine(current))
                .filter(r -> same.stream().noneMatch(s -> s.json().equals(r.json())))
                .forEach(same::add);
        same.sort(Comparator.comparing(r -> r.text("date")));
        runs = List.copyOf(same);
        List<Map<String, JsonNode>> all = runs.stream().map(Run::rows).toList();
        for (String name : current.rows().keySet()) {
            List<JsonNode> everywhere = all.stream()
                    .map(of -> of.getOrDefault(name, MissingNode.getInstance()))
                    .toList();
            if (everywhere.stream().filter(Run::timed).count() > 1) {
                rows.put(name, everywhere);
            }
        }
    }

    boolean isEmpty() {
        return rows.isEmpty();
    }

    /// A run by its commit and day.
    List<String> labels() {
        return runs.stream()
                .map(r -> r.text("commit") + " "
                        + r.text("date")
                                .substring(0, Math.min(10, r.text("date").length())))
                .toList();
    }

    Figure figure() {
        Map<String, List<Line>> families = new LinkedHashMap<>();
        rows.forEach((name, everywhere) -> {
            List<@Nullable Double> micros = new ArrayList<>();
            List<@Nullable Double> ratios = new ArrayList<>();
            String family = "";
            for (int i = 0; i < everywhere.size(); i++) {
                JsonNode row = everywhere.get(i);
                boolean timed = Run.timed(row);
                micros.add(timed ? Run.micros(row) : null);
                ratios.add(timed ? ratio(runs.get(i), row) : null);
                family = timed ? Run.family(row) : family;
            }
            families.computeIfAbsent(family, _ -> new ArrayList<>()).add(new Line(name, micros, ratios));
        });
        List<Family> all = new ArrayList<>();
        families.forEach((family, lines) -> all.add(new Family(family, lines)));
        return new Figure(labels(), all);
    }

    private static @Nullable Double ratio(Run run, JsonNode row) {
        double best = run.fastest(row).values().stream()
                .mapToDouble(Run.Way::micros)
                .min()
                .orElse(Double.NaN);
        return Double.isNaN(best) ? null : best / Run.micros(row);
    }

    /// The times as a table.
    List<Tables.Line> table() {
        List<Tables.Line> lines = new ArrayList<>();
        rows.forEach((name, everywhere) -> lines.add(new Tables.Line(
                name,
                everywhere.stream()
                        .map(row ->
                                Run.timed(row) ? Cell.of(Words.number(Run.micros(row)), Run.micros(row)) : Cell.NONE)
                        .toList(),
                "")));
        return lines;
    }
}
