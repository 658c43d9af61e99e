package io.jacquard.launch;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Typed reading of an environment.
record Variables(Map<String, String> all) {
    /// Empty is as good as unset: manifests and scripts write `RANK=`.
    boolean has(String name) {
        return !all.getOrDefault(name, "").isEmpty();
    }

    @Nullable
    String text(String name) {
        String value = all.getOrDefault(name, "");
        return value.isEmpty() ? null : value;
    }

    int number(String name) {
        String value = text(name);
        if (value == null) {
            throw new IllegalArgumentException("launch: " + name + " is not set");
        }
        try {
            return Integer.parseInt(value);
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException("launch: " + name + "=" + value + " is not a number", e);
        }
    }

    int number(String name, int otherwise) {
        return has(name) ? number(name) : otherwise;
    }

    /// The first of `names` that is set.
    @Nullable
    String firstOf(String... names) {
        for (String name : names) {
            if (has(name)) {
                return name;
            }
        }
        return null;
    }

    /// `NAME=value, NAME=value` of those that are set.
    String show(String... names) {
        StringBuilder shown = new StringBuilder();
        for (String name : names) {
            if (has(name)) {
                shown.append(shown.isEmpty() ? "" : ", ")
                        .append(name)
                        .append('=')
                        .append(text(name));
            }
        }
        return shown.toString();
    }
}
