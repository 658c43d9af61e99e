package io.jacquard.benchmarks.suite;

import io.jacquard.ops.Recipe;
import io.jacquard.tensor.DType;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/// One row of the table: its name in records, and what all contenders are told.
///
/// @param spec shapes and dtype, as JSON to the contenders
public record Row(String name, Map<String, Object> spec) {
    /// Rows of activations beside which reading weights of 4 bits takes longer than multiplying: some 64 on a GPU.
    private static final int MOST_BOUND_BY_WEIGHTS = 64;

    /// A row of this kind.
    static Row of(String name, String kind, String dtype, Object... keysAndValues) {
        Map<String, Object> spec = new LinkedHashMap<>();
        spec.put("kind", kind);
        spec.put("dtype", dtype);
        for (int i = 0; i < keysAndValues.length; i += 2) {
            spec.put((String) keysAndValues[i], keysAndValues[i + 1]);
        }
        return new Row(name + " " + dtype, spec);
    }

    /// From the JSON of a spec; its name is that JSON.
    public static Row parse(String json) {
        Map<String, Object> spec = new LinkedHashMap<>();
        Lines.JSON.readTree(json).properties().forEach(e -> {
            var v = e.getValue();
            spec.put(e.getKey(), v.isBoolean() ? v.asBoolean() : v.isInt() ? v.asInt() : (Object) v.asString());
        });
        return new Row(json, spec);
    }

    public boolean isStep() {
        return text("kind").equals("step");
    }

    /// Whether it times a launch with nothing to do.
    public boolean isLaunch() {
        return Boolean.TRUE.equals(spec.get("launch"));
    }

    /// Whether its time is that of arithmetic, by the matrix units where there are some.
    boolean computes() {
        return switch (text("kind")) {
            case "matmul", "linear", "attention", "step" -> true;
            case "int4" -> number("m") > MOST_BOUND_BY_WEIGHTS;
            default -> false;
        };
    }

    /// Whether its time is that of memory: on a GPU each run is then behind a flush of the caches.
    public boolean flushes() {
        return !computes() && !isLaunch();
    }

    /// What it is counted with in summaries.
    String family() {
        return isLaunch()
                ? "launches"
                : switch (text("kind")) {
                    case "matmul" -> "matrix products";
                    case "linear", "int4" -> "low precision";
                    case "norm" -> "norms";
                    case "activation" -> "activations";
                    case "cross entropy", "embedding gradient" -> "tokens";
                    case "step" -> "steps";
                    default -> text("kind");
                };
    }

    String dtype() {
        return text("dtype");
    }

    /// The type of its floats.
    public DType floats() {
        return DType.valueOf(dtype().toUpperCase(Locale.ROOT));
    }

    /// The largest error that rounding explains.
    public double allowed() {
        String recipe = text("recipe");
        return spec.containsKey("recipe") && !recipe.equals(Recipe.DTYPE.label())
                ? Deviation.ALLOWED_OF_8_BITS
                : Deviation.allowed(floats());
    }

    String text(String key) {
        return String.valueOf(spec.get(key));
    }

    int number(String key) {
        return Integer.parseInt(text(key));
    }
}
