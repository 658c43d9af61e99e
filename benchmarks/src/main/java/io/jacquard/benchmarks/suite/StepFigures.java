package io.jacquard.benchmarks.suite;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/// A step of a record of `bench`.
record StepFigures(String model, String precision, Map<String, Double> rates, Map<String, Double> peaks) {
    static List<StepFigures> of(JsonNode record) {
        List<StepFigures> steps = new ArrayList<>();
        for (JsonNode row : record.path("rows")) {
            if (row.path("spec").path("kind").asString("").equals("step")
                    && row.has("micros")
                    && !row.path("spec").path("launch_bound").asBoolean(false)) {
                StepFigures step = named(row.path("spec"));
                steps.add(step);
                double tokens = row.path("tokens").asDouble();
                step.add("jacquard", row.path("tokens_per_second").asDouble(), row.path("peak_bytes"));
                row.path("peers").properties().stream()
                        .filter(e -> e.getValue().has("micros"))
                        .forEach(e -> step.add(
                                e.getKey()
                                        .replaceAll("^py", "")
                                        .replaceAll("compile$", "compiled")
                                        .replaceAll("^(djl|javacpp|nd4j) .*", "$1"),
                                tokens / e.getValue().get("micros").asDouble() * 1e6,
                                e.getValue().path("peak_bytes")));
            }
        }
        return steps;
    }

    private static StepFigures named(JsonNode spec) {
        return new StepFigures(
                spec.path("model").asString(""),
                spec.path("dtype").asString("").replace("f32", "fp32"),
                new LinkedHashMap<>(),
                new LinkedHashMap<>());
    }

    private void add(String contender, double rate, JsonNode peak) {
        rates.put(contender, rate);
        peaks.put(contender, peak.asDouble() / (1 << 20));
    }

    double ratio() {
        double ours = rates.getOrDefault("jacquard", Double.NaN);
        double best = rates.entrySet().stream()
                .filter(e -> e.getKey().startsWith("torch"))
                .mapToDouble(Map.Entry::getValue)
                .max()
                .orElse(Double.NaN);
        return ours / best;
    }

    String rate(String contender) {
        Double rate = rates.get(contender);
        return rate == null ? "" : "%.0f".formatted(rate);
    }

    String memory(String contender) {
        Double peak = peaks.get(contender);
        return peak == null ? "-" : "%.0f".formatted(peak);
    }
}
