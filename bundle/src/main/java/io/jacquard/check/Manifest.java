package io.jacquard.check;

import io.jacquard.io.Json;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// `manifest.json` of a bundle: what it was made of.
final class Manifest {
    static final String FILE = "manifest.json";

    /// Names the directory of the bundle.
    static final String ROOT = "jacquard.bundle";

    private Manifest() {}

    static Path root() {
        return Path.of(Findings.property(ROOT));
    }

    static Map<String, @Nullable Object> read() throws IOException {
        return Json.readObject(root().resolve(FILE), 1 << 20);
    }

    /// How many tests the class had when the bundle was made.
    ///
    /// @throws IllegalArgumentException if the manifest does not say
    static long expected(Map<String, @Nullable Object> manifest, String className) {
        if (manifest.get("expected") instanceof Map<?, ?> counts && counts.get(className) instanceof Long count) {
            return count;
        }
        throw new IllegalArgumentException(
                FILE + " does not say how many tests " + className + " has: make the bundle anew");
    }
}
