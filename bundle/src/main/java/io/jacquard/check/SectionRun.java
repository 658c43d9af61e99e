package io.jacquard.check;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// One section while it runs, and what it left.
final class SectionRun {
    /// Between two lines of progress, so that nobody takes a long section for a hanging one.
    private static final long PROGRESS_NANOS = 10_000_000_000L;

    private final Section section;
    private final Consumer<String> progress;
    private final Map<String, @Nullable Object> tests = new LinkedHashMap<>();
    private final Map<String, @Nullable Object> facts = new LinkedHashMap<>();
    private final long start = System.nanoTime();
    private long lastProgress = start;
    private long expected = -1;
    private long passed;
    private long failed;
    private @Nullable String why;
    private double limit;
    private double seconds;

    SectionRun(Section section, Consumer<String> progress) {
        this.section = section;
        this.progress = progress;
    }

    void run(double limitSeconds, List<String> arguments, Map<String, String> environment) throws IOException {
        limit = limitSeconds;
        progress.accept(section.id() + ": " + section.what);
        why = new Child(section, arguments, environment).run(limitSeconds, this::heard);
        synchronized (this) {
            seconds = (System.nanoTime() - start) / 1e9;
            if (why == null && passed + failed < expected) {
                why = (passed + failed) + " tests ran, fewer than the expected " + expected;
            }
            if (why == null && expected < 0) {
                why = "it never said how many tests are due";
            }
        }
        progress.accept(summary());
    }

    private synchronized void heard(Map<String, @Nullable Object> line) {
        if (line.get("expected") instanceof Long count) {
            expected = count;
        } else if (line.get("fact") instanceof String name) {
            facts.put(name, line.get("value"));
        } else if (line.get("test") instanceof String test && line.get("result") instanceof String result) {
            tests.put(tests.containsKey(test) ? test + " #" + tests.size() : test, result);
            if (result.equals(Findings.PASSED)) {
                passed++;
            } else if (result.startsWith("failed")) {
                failed++;
                if (failed <= 10) {
                    progress.accept("  " + test + " " + shortened(result));
                }
            }
            if (System.nanoTime() - lastProgress > PROGRESS_NANOS) {
                lastProgress = System.nanoTime();
                progress.accept("  " + (passed + failed) + " of " + expected + " tests, " + failed + " failed");
            }
        }
    }

    private static String shortened(String text) {
        String line = text.lines().findFirst().orElse("");
        return line.length() > 300 ? line.substring(0, 300) + "..." : line;
    }

    /// A tool that is not there fails nothing, and is recorded.
    private boolean absent() {
        return why == null && expected == 0 && passed + failed == 0;
    }

    synchronized boolean ok() {
        return why == null && failed == 0;
    }

    private synchronized String summary() {
        String reason = why;
        return String.format(
                Locale.ROOT,
                "%s: %s, %d passed, %d failed of %d expected, %.1f s%s",
                section.id(),
                result(),
                passed,
                failed,
                Math.max(0, expected),
                seconds,
                reason == null ? "" : "; " + shortened(reason));
    }

    private String result() {
        return absent() ? "ABSENT" : ok() ? "PASSED" : "FAILED";
    }

    synchronized @Nullable Object fact(String name) {
        return facts.get(name);
    }

    synchronized Map<String, @Nullable Object> record() {
        Map<String, @Nullable Object> values = new LinkedHashMap<>();
        values.put("result", result().toLowerCase(Locale.ROOT));
        values.put("why", why);
        values.put("expected", expected);
        values.put("passed", passed);
        values.put("failed", failed);
        values.put("seconds", Math.round(10 * seconds) / 10.0);
        values.put("limit_seconds", Math.round(10 * limit) / 10.0);
        values.put("facts", facts);
        values.put("tests", tests);
        return values;
    }
}
