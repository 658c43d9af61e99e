package io.jacquard.parallel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.group.LocalGroup;
import io.jacquard.parallel.MeshRun.Result;
import io.jacquard.parallel.MeshRun.Setup;
import io.jacquard.tensor.Session;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The same losses and gradients on every topology. `-Djacquard.update=true` writes what this machine finds into
/// `docs/topologies.md`.
final class TopologiesTest {
    private static final int STEPS = 20;
    private static final Path PAGE = Path.of("..", "docs", "topologies.md");
    private static final String BEGIN = "<!-- rows: written by TopologiesTest -->\n";
    private static final String END = "<!-- end of rows -->\n";

    /// In F32 a topology changes the order of sums and nothing else.
    private static final double F32_BOUND = 1e-5;

    /// Of the loss, a mean over many tokens, whose own roundings mostly cancel.
    private static final double BF16_LOSS_BOUND = 1e-3;

    /// One row of the table.
    ///
    /// @param only the model that can be divided so, or empty for both
    private record Topology(
            int data,
            int tensor,
            int pipeline,
            int zero,
            String schedule,
            int chunks,
            boolean recompute,
            boolean graph,
            String only) {
        static Topology of(int data, int tensor, int pipeline) {
            return new Topology(data, tensor, pipeline, 1, "1f1b", 1, false, false, "");
        }

        Topology zero(int stage) {
            return new Topology(data, tensor, pipeline, stage, schedule, chunks, recompute, graph, only);
        }

        Topology schedule(String name, int parts) {
            return new Topology(data, tensor, pipeline, zero, name, parts, recompute, graph, only);
        }

        Topology recomputed() {
            return new Topology(data, tensor, pipeline, zero, schedule, chunks, true, graph, only);
        }

        Topology recorded() {
            return new Topology(data, tensor, pipeline, zero, schedule, chunks, recompute, true, only);
        }

        Topology only(String model) {
            return new Topology(data, tensor, pipeline, zero, schedule, chunks, recompute, graph, model);
        }

        Setup setup(String model, boolean bf16) {
            return new Setup(
                    model,
                    new io.jacquard.parallel.Topology(data, tensor, pipeline),
                    zero,
                    schedule,
                    chunks,
                    bf16,
                    recompute,
                    graph,
                    2,
                    8);
        }
    }

    private static final List<Topology> ALL = List.of(
            Topology.of(2, 1, 1),
            Topology.of(4, 1, 1),
            Topology.of(8, 1, 1),
            Topology.of(2, 1, 1).zero(2),
            Topology.of(4, 1, 1).zero(2),
            Topology.of(2, 1, 1).zero(3),
            Topology.of(2, 1, 1).zero(3).recomputed(),
            Topology.of(4, 1, 1).zero(3).recomputed(),
            Topology.of(2, 1, 1).recorded(),
            Topology.of(2, 1, 1).zero(2).recorded(),
            Topology.of(2, 1, 1).zero(3).recorded(),
            Topology.of(2, 1, 1).zero(3).recomputed().recorded(),
            Topology.of(1, 2, 1),
            Topology.of(1, 2, 1).recomputed().recorded(),
            Topology.of(1, 3, 1),
            Topology.of(1, 4, 1).only("gpt2"),
            Topology.of(1, 1, 2),
            Topology.of(1, 1, 2).schedule("gpipe", 1),
            Topology.of(1, 1, 2).schedule("1f1b", 2),
            Topology.of(1, 1, 2).schedule("zero-bubble", 1),
            Topology.of(1, 1, 2).recomputed().recorded(),
            Topology.of(1, 1, 3),
            Topology.of(1, 1, 4),
            Topology.of(1, 1, 4).schedule("zero-bubble", 1),
            Topology.of(2, 2, 1),
            Topology.of(2, 2, 1).zero(2),
            Topology.of(2, 2, 1).zero(3),
            Topology.of(2, 2, 1).zero(3).recomputed(),
            Topology.of(2, 1, 2),
            Topology.of(2, 1, 2).zero(2),
            Topology.of(2, 1, 2).zero(3).recomputed(),
            Topology.of(2, 1, 2).schedule("1f1b", 2).zero(3).recomputed(),
            Topology.of(2, 1, 2).schedule("zero-bubble", 1),
            Topology.of(2, 1, 2).schedule("zero-bubble", 1).zero(2),
            Topology.of(2, 1, 2).schedule("zero-bubble", 1).zero(3),
            Topology.of(2, 1, 2).schedule("zero-bubble", 1).zero(3).recomputed(),
            Topology.of(2, 1, 2).zero(2).recorded(),
            Topology.of(1, 2, 2),
            Topology.of(1, 2, 2).schedule("zero-bubble", 1),
            Topology.of(2, 2, 2),
            Topology.of(2, 2, 2).zero(2),
            Topology.of(2, 2, 2).zero(3).recomputed(),
            Topology.of(2, 2, 2).recorded(),
            Topology.of(4, 1, 2).zero(2),
            Topology.of(2, 1, 4),
            Topology.of(1, 2, 4),
            Topology.of(2, 4, 1).only("gpt2"));

    static Stream<Setup> setups() {
        List<Setup> setups = new ArrayList<>();
        for (Topology t : ALL) {
            for (String model : List.of("gpt2", "llama")) {
                if (t.only.isEmpty() || t.only.equals(model)) {
                    setups.add(t.setup(model, false));
                    setups.add(t.setup(model, true));
                }
            }
        }
        return setups.stream();
    }

    private static final Map<Setup, Result> ONE_RANK = new HashMap<>();
    private static final Map<String, List<String>> ROWS = new LinkedHashMap<>();

    private static Result run(Setup setup) {
        MeshRun run = new MeshRun(setup, STEPS);
        LocalGroup.run(setup.topology().ranks(), g -> {
            try (Session _ = Session.open("cpu")) {
                run.run(g);
            }
        });
        return run.result();
    }

    private static Result alone(Setup setup) {
        return ONE_RANK.computeIfAbsent(setup.alone(), TopologiesTest::run);
    }

    @ParameterizedTest
    @MethodSource("setups")
    void trainsAsOneRank(Setup s) {
        Result one = alone(s);
        Result found = run(s);
        MeshRun.Difference d = MeshRun.difference(one, found);
        ROWS.computeIfAbsent(name(s), _ -> new ArrayList<>())
                .add(String.format(Locale.ROOT, "%.0e | %.0e", d.loss(), d.gradient()));
        if (!s.bf16()) {
            assertTrue(d.loss() <= F32_BOUND && d.gradient() <= F32_BOUND && d.validation() <= F32_BOUND, d.toString());
            return;
        }
        assertTrue(d.loss() <= BF16_LOSS_BOUND, d.toString());
        // as far from the truth, F32, as one rank in BF16 is, at most twice
        Result exact = alone(s.inF32());
        MeshRun.Difference ours = MeshRun.difference(exact, found);
        MeshRun.Difference theirs = MeshRun.difference(exact, one);
        assertTrue(ours.gradient() <= 2 * theirs.gradient(), ours + ", one rank: " + theirs);
    }

    private static String name(Setup s) {
        return s.topology() + (s.zero() == 1 ? "" : ", ZeRO-" + s.zero())
                + (s.topology().pipeline() == 1
                        ? ""
                        : ", " + (s.chunks() > 1 ? "interleaved " + s.schedule() : s.schedule()))
                + (s.recompute() ? ", recompute" : "") + (s.graph() ? ", recorded" : "") + " | " + s.model();
    }

    @AfterAll
    static void write() throws IOException {
        if (Boolean.getBoolean("jacquard.update")) {
            StringBuilder table = new StringBuilder(BEGIN)
                    .append("| topology | model | loss, F32 | gradient, F32 | loss, BF16 | gradient, BF16 |\n")
                    .append("| --- | --- | --- | --- | --- | --- |\n");
            ROWS.forEach((name, values) -> table.append("| ")
                    .append(name)
                    .append(" | ")
                    .append(String.join(" | ", values))
                    .append(" |\n"));
            String page = Files.readString(PAGE);
            Files.writeString(PAGE, page.substring(0, page.indexOf(BEGIN)) + table + page.substring(page.indexOf(END)));
        }
    }

    /// Every topology that is tested is in the page, and no other.
    @Test
    void thePageHasAllRows() throws IOException {
        List<String> names = setups().map(TopologiesTest::name).distinct().toList();
        String page = Files.readString(PAGE);
        List<String> rows = page.substring(page.indexOf(BEGIN), page.indexOf(END))
                .lines()
                .filter(l -> l.startsWith("| dp("))
                .map(l -> l.substring(2).split(" \\| "))
                .map(cells -> cells[0] + " | " + cells[1])
                .toList();
        assertEquals(names, rows);
    }
}
