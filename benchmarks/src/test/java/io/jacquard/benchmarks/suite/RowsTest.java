package io.jacquard.benchmarks.suite;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.Session;
import io.jacquard.tensor.spi.Kernels;
import java.lang.reflect.Proxy;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/// The table is complete, and its rows do what they say.
final class RowsTest {
    private static final Set<String> HOT = Set.of(
            "adamW",
            "attention",
            "attentionGrad",
            "cast",
            "copy",
            "count",
            "crossEntropy",
            "embeddingGrad",
            "gelu",
            "geluGrad",
            "layerNorm",
            "layerNormGrad",
            "matmul",
            "matmulWeights",
            "norm",
            "rmsNorm",
            "rmsNormGrad",
            "rope",
            "swiGlu",
            "swiGluGrad");

    @ParameterizedTest
    @ValueSource(strings = {"f32", "bf16", "f16"})
    void smallRowsAreRightOnTheCpu(String dtype) {
        Set<String> launched = new HashSet<>();
        for (Row row : Rows.of(Rows.Scale.TINY, dtype)) {
            if (row.isStep()) {
                continue;
            }
            JsonNode spec = Lines.JSON.valueToTree(row.spec());
            try (Session session = Session.open("cpu")) {
                KernelCase c = Cases.of(spec);
                c.reset();
                for (Consumer<Kernels> launch : c.launches()) {
                    String name = nameOf(launch);
                    if (name != null) {
                        launched.add(name);
                    }
                    assertTrue(c.work(launch).bytes() > 0, row.name());
                    launch.accept(session.backend().kernels());
                }
                Deviation d = c.deviation();
                assertTrue(d.compared() > 0, row.name());
                double error = d.relative();
                assertTrue(error <= row.allowed(), row.name() + ": off by " + error);
            }
        }
        assertEquals(new TreeSet<>(HOT), new TreeSet<>(launched));
    }

    /// Of the kernel that it calls; null where it runs an operation, which calls several.
    private static @Nullable String nameOf(Consumer<Kernels> launch) {
        @Nullable String[] name = new @Nullable String[1];
        launch.accept((Kernels) Proxy.newProxyInstance(
                Kernels.class.getClassLoader(), new Class<?>[] {Kernels.class}, (_, method, _) -> {
                    name[0] = method.getName();
                    return null;
                }));
        return name[0];
    }

    /// A run that did nothing is noticed in every row: its output holds what was there before.
    @ParameterizedTest
    @ValueSource(strings = {"f32", "bf16", "f16"})
    void outputsThatWereNeverWrittenAreWrong(String dtype) {
        for (Row row : Rows.of(Rows.Scale.TINY, dtype)) {
            if (row.isStep()) {
                continue;
            }
            try (Session _ = Session.open("cpu")) {
                KernelCase c = Cases.of(Lines.JSON.valueToTree(row.spec()));
                c.reset();
                double error = c.deviation().relative();
                assertTrue(error > row.allowed(), row.name() + ": only off by " + error);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Rows.Scale.class)
    void everyScaleHasEveryKindOnce(Rows.Scale scale) {
        List<Row> rows = Rows.of(scale, "bf16");
        assertEquals(rows.size(), rows.stream().map(Row::name).distinct().count());
        assertEquals(kinds(Rows.of(Rows.Scale.GPU, "bf16")), kinds(rows), "kinds of rows at " + scale);
    }

    private static Set<String> kinds(List<Row> rows) {
        return rows.stream()
                .map(r -> r.spec().get("kind") + " " + r.spec().getOrDefault("function", "")
                        + r.spec().getOrDefault("form", "") + r.spec().getOrDefault("gradient", ""))
                .collect(Collectors.toCollection(TreeSet::new));
    }

    @Test
    void everyGoalHasARow() {
        for (Goal goal : Goal.all()) {
            assertTrue(
                    Stream.of("f32", "bf16")
                            .flatMap(dtype -> Rows.of(goal.scale(), dtype).stream())
                            .anyMatch(r -> goal.isFor(r.name())),
                    goal.toString());
        }
    }

    @Test
    void aNanIsAnInfiniteError() {
        Deviation d = new Deviation();
        d.add(1, 1);
        d.add(Double.NaN, 2);
        assertEquals(Double.POSITIVE_INFINITY, d.relative());
    }

    @Test
    void theErrorIsThatOfTheWorstTensor() {
        Deviation d = new Deviation();
        d.add(1000.5, 1000);
        d.next();
        d.add(0.011, 0.010);
        assertEquals(0.1, d.relative(), 1e-12);
    }
}
