package io.jacquard.check;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.TestPlan;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/// Test classes: `SuiteSection CLASS...`.
final class SuiteSection {
    private SuiteSection() {}

    public static void main(String[] classes) throws IOException {
        Map<String, @Nullable Object> manifest = Manifest.read();
        Findings.expect(Arrays.stream(classes)
                .mapToLong(name -> Manifest.expected(manifest, name))
                .sum());
        execute(List.of(classes), false, Findings::test);
    }

    /// How many tests a class has, dynamic and parameterised ones included. No body of a test runs.
    static long count(String className) {
        Map<String, Integer> results = new HashMap<>();
        execute(List.of(className), true, (_, result) -> results.merge(result, 1, Integer::sum));
        if (results.size() > 1) {
            throw new IllegalStateException(className + ": its tests cannot be counted: " + results);
        }
        return results.getOrDefault(Findings.PASSED, 0);
    }

    private static void execute(List<String> classes, boolean countOnly, BiConsumer<String, String> heard) {
        LauncherDiscoveryRequest request = LauncherDiscoveryRequestBuilder.request()
                .selectors(classes.stream().map(name -> selectClass(name)).toList())
                .configurationParameter(CountOnly.PARAMETER, Boolean.toString(countOnly))
                .configurationParameter("junit.jupiter.extensions.autodetection.enabled", Boolean.toString(countOnly))
                .build();
        LauncherFactory.create().execute(request, new Listener(heard));
    }

    private static final class Listener implements TestExecutionListener {
        private final BiConsumer<String, String> heard;
        private @Nullable TestPlan plan;

        Listener(BiConsumer<String, String> heard) {
            this.heard = heard;
        }

        @Override
        public void testPlanExecutionStarted(TestPlan started) {
            plan = started;
        }

        @Override
        public void executionSkipped(TestIdentifier test, String reason) {
            heard.accept(name(test), "skipped: " + reason);
        }

        @Override
        public void executionFinished(TestIdentifier test, TestExecutionResult result) {
            String why = result.getThrowable().map(String::valueOf).orElse("");
            switch (result.getStatus()) {
                case SUCCESSFUL -> {
                    if (test.isTest()) {
                        heard.accept(name(test), Findings.PASSED);
                    }
                }
                case ABORTED -> heard.accept(name(test), "skipped: " + why);
                case FAILED -> heard.accept(name(test), "failed: " + why);
            }
        }

        private String name(TestIdentifier test) {
            Deque<String> words = new ArrayDeque<>();
            TestIdentifier at = test;
            while (plan != null && plan.getParent(at).isPresent()) {
                words.addFirst(at.getDisplayName().replaceFirst("\\(\\)$", ""));
                at = plan.getParent(at).get();
            }
            return String.join("/", words);
        }
    }
}
