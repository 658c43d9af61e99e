package io.jacquard.benchmarks.suite;

import java.util.LinkedHashMap;
import java.util.Map;

/// One row of the table: its name in records, and what both sides are told.
///
/// @param spec shapes and dtype, as JSON to both contenders
/// @param flushes whether its time is that of memory: each run is then behind a flush of the caches
record Row(String name, Map<String, Object> spec, boolean flushes) {
    boolean isStep() {
        return "step".equals(spec.get("kind"));
    }

    String dtype() {
        return text("dtype");
    }

    String text(String key) {
        return String.valueOf(spec.get(key));
    }

    int number(String key) {
        return Integer.parseInt(text(key));
    }

    private static Row of(String name, String kind, String dtype, boolean flushes, Object... keysAndValues) {
        Map<String, Object> spec = new LinkedHashMap<>();
        spec.put("kind", kind);
        spec.put("dtype", dtype);
        for (int i = 0; i < keysAndValues.length; i += 2) {
            spec.put((String) keysAndValues[i], keysAndValues[i + 1]);
        }
        return new Row(name + " " + dtype, spec, flushes);
    }

    /// Of a kernel whose time is that of its arithmetic.
    static Row computing(String name, String kind, String dtype, Object... keysAndValues) {
        return of(name, kind, dtype, false, keysAndValues);
    }

    /// Of a kernel whose time is that of memory.
    static Row moving(String name, String kind, String dtype, Object... keysAndValues) {
        return of(name, kind, dtype, true, keysAndValues);
    }
}
