package io.jacquard.check;

import io.jacquard.io.Json;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// How a section's JVM tells the one above it what it found: lines of JSON on its standard output, marked, between
/// whatever else is printed there.
final class Findings {
    static final String MARK = "\u0001gpu-check ";
    static final String PASSED = "passed";

    private Findings() {}

    /// The number of tests that are due; fewer fail the section.
    static void expect(long count) {
        print(Map.of("expected", count));
    }

    static void passed(String test) {
        test(test, PASSED);
    }

    static void failed(String test, Throwable cause) {
        failed(test, String.valueOf(cause.getMessage() == null ? cause : cause.getMessage()));
    }

    static void failed(String test, String why) {
        test(test, "failed: " + why);
    }

    /// Neither passed nor failed, such as `skipped: why`: it counts as not run.
    static void test(String test, String result) {
        Map<String, @Nullable Object> line = new LinkedHashMap<>();
        line.put("test", test);
        line.put("result", result);
        print(line);
    }

    /// Something that belongs into the record; a value as [Json] renders it.
    static void fact(String name, @Nullable Object value) {
        Map<String, @Nullable Object> line = new LinkedHashMap<>();
        line.put("fact", name);
        line.put("value", value);
        print(line);
    }

    /// Runs `work` as a test.
    static void test(String test, Runnable work) {
        try {
            work.run();
            passed(test);
        } catch (RuntimeException | AssertionError | LinkageError e) {
            failed(test, e);
        }
    }

    private static void print(Map<String, ? extends @Nullable Object> line) {
        String text = MARK + Json.render(line) + "\n";
        synchronized (Findings.class) {
            // first an end of line, for what others left unfinished
            System.out.print("\n" + text);
            System.out.flush();
        }
    }

    static String property(String name) {
        return Objects.requireNonNull(System.getProperty(name), () -> "-D" + name + " is missing");
    }
}
