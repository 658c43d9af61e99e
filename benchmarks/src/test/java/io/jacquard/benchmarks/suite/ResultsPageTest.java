package io.jacquard.benchmarks.suite;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/// `docs/results.md` says what the records say.
final class ResultsPageTest {
    private static final Path ROOT = Path.of("..");

    @Test
    void thePageIsThatOfTheRecords() throws IOException {
        ResultsPage page = new ResultsPage(ROOT);
        String how = "out of date: run ./benchmarks/results-page";
        assertEquals(page.text(), Files.readString(ROOT.resolve("docs/results.md")), how);
        assertEquals(page.readme(), Files.readString(ROOT.resolve("README.md")), how);
    }

    @Test
    void committedRecordsKeepToTheFormat() throws IOException {
        try (Stream<Path> files = Files.list(ROOT.resolve("benchmarks/results"))) {
            for (Path file : files.filter(f -> f.toString().endsWith(".json")).toList()) {
                JsonNode record = Lines.JSON.readTree(Files.readString(file));
                if (record.path("benchmark").asString("").equals(BenchRecord.BENCHMARK)) {
                    assertEquals(List.of(), BenchRecord.faults(record), file.toString());
                }
            }
        }
    }

    private static String page(Path root, String machine, double ratio) throws IOException {
        Path results = Files.createDirectories(root.resolve("benchmarks/results"));
        Files.writeString(results.resolve("gpu.json"), """
                {"benchmark": "bench", "date": "2027-01-02T03:04:05Z", "commit": "abc1234", "machine": "%s",
                 "device": "H200, driver", "contenders": {"pytorch": {"present": true, "torch": "2.11"}}, "roofline": {}, "skipped": [],
                 "rows": [{"name": "rms norm backward 8192x4096 bf16", "status": "measured", "micros": 50.5,
                           "best_peer": "pytorch compile", "ratio": %s, "goal": 2.2, "goal_ratio": %s,
                           "peers": {"pytorch eager": {"micros": 9.0}, "pytorch compile": {"micros": %s}}}]}
                """.formatted(machine, ratio, ratio, 50.5 * ratio));
        return new ResultsPage(root).text();
    }

    @Test
    void aGoalStandsBesideItsFigure(@TempDir Path root) throws IOException {
        String reached = page(root, "gpu", 2.31);
        assertTrue(reached.contains(
                "| rms norm backward 8192x4096 bf16 | torch.compile | 2.20 | 2.31 | 2027-01-02, " + "commit abc1234"));
        assertTrue(reached.contains("| rms norm backward 16384x4096 bf16 | torch.compile | 2.20 | not run |"));
        assertFalse(reached.contains("Nothing has run on a GPU yet"));
        assertTrue(page(root, "gpu", 1.98).contains("| 2.20 | 1.98, **missed** |"));
    }

    @Test
    void aGoalSaysWherePyTorchWasNotCompiled(@TempDir Path root) throws IOException {
        Path record =
                Files.createDirectories(root.resolve("benchmarks/results")).resolve("cpu.json");
        String text = """
                {"benchmark": "bench", "date": "2027-01-02T03:04:05Z", "commit": "abc1234", "machine": "cpu",
                 "device": "cpu:0", "contenders": {}, "roofline": {}, "skipped": [],
                 "rows": [{"name": "gelu forward 1024x3072 f32", "micros": 1.0, "peers": {"pytorch eager": {"micros": 2.0}}},
                          {"name": "gelu backward 1024x3072 f32", "micros": 1.0,
                           "peers": {"pytorch eager": {"micros": 2.0}, "pytorch compile": {%s}}},
                          {"name": "attention forward hd64 causal T=256 B=4 H=12 f32", "micros": 1.0,
                           "peers": {"pytorch sdpa flash": {"micros": 2.0}}}]}
                """;
        Files.writeString(record, text.formatted("\"micros\": 1.5"));
        String page = new ResultsPage(root).text();
        assertTrue(page.contains("| gelu forward 1024x3072 f32 | the best PyTorch (eager only) | 1.20 | 2.00 |"));
        assertTrue(page.contains("| gelu backward 1024x3072 f32 | the best PyTorch | 1.20 | 1.50 |"));
        assertTrue(
                page.contains("| attention forward hd64 causal T=256 B=4 H=12 f32 | the best PyTorch | 1.90 | 2.00 |"));
        assertTrue(page.contains("| swiglu forward 512x8192 f32 | the best PyTorch | 1.20 | not run |"));
        Files.writeString(record, text.formatted("\"why\": \"it died\""));
        assertTrue(new ResultsPage(root)
                .text()
                .contains("| gelu backward 1024x3072 f32 | the best PyTorch (eager only) | 1.20 | 2.00 |"));
    }

    @Test
    void theEmulatorIsNoGpu(@TempDir Path root) throws IOException {
        String page = page(root, "emulated", 2.31);
        assertTrue(page.contains("**Nothing has run on a GPU yet.**"));
        assertFalse(page.contains("2.31"));
    }
}
