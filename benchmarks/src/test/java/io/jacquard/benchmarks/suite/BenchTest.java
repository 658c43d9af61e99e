package io.jacquard.benchmarks.suite;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/// The command from end to end: processes, protocol, record.
final class BenchTest {
    @TempDir
    private Path directory;

    /// A bench that others on this machine do not stop.
    private CommandLine commandLine() {
        return Bench.commandLine(directory);
    }

    private JsonNode run(int code, String... arguments) throws IOException {
        Path out = directory.resolve("record.json");
        List<String> all = new ArrayList<>(List.of("--quick", "--out", out.toString()));
        all.addAll(List.of(arguments));
        assertEquals(code, commandLine().execute(all.toArray(String[]::new)));
        JsonNode record = Lines.JSON.readTree(Files.readString(out));
        assertEquals(List.of(), BenchRecord.faults(record));
        return record;
    }

    @Test
    void withoutAPeerTheRecordSaysSo() throws IOException {
        JsonNode record = run(
                0,
                "--device",
                "cpu",
                "--scale",
                "tiny",
                "--python",
                "no-such-python",
                "--filter",
                "^(gelu f|step gpt2)");
        JsonNode torch = record.get("contenders").get("pytorch");
        assertFalse(torch.get("present").asBoolean());
        assertTrue(torch.get("why").asString().contains("no-such-python"));
        assertTrue(record.get("complete").asBoolean());
        assertEquals("cpu", record.get("machine").asString());
        assertEquals(2, record.get("rows").size());
        for (JsonNode row : record.get("rows")) {
            assertEquals("no peer", row.get("status").asString());
            assertTrue(row.get("micros").asDouble() > 0);
            assertFalse(row.has("ratio"));
        }
    }

    @Test
    void twoAtOnceAreRefused() throws IOException {
        Path lock = directory.resolve("jacquard-bench-" + System.getProperty("user.name") + ".lock");
        try (var _ = OneAtATime.enter(directory)) {
            assertEquals(
                    "bench: another bench measures on this machine (it holds " + lock
                            + "), and each would time the other; wait for its end",
                    assertThrows(IllegalArgumentException.class, () -> OneAtATime.enter(directory))
                            .getMessage());
        }
        OneAtATime.enter(directory).close();
    }

    @Test
    void aRecordedCommandIsForAnyMachine() {
        assertEquals(
                List.of("bench", "--quick", "--out", "FILE", "--compare=RECORD", "--filter", "a=b"),
                BenchRecord.command(
                        "bench",
                        List.of("--quick", "--out", "/home/me/a.json", "--compare=/b.json", "--filter", "a=b")));
    }

    @Test
    void aRecordedCommandIsQuotedForAShell() throws IOException {
        Path file = directory.resolve("record.json");
        List<String> command = List.of(
                "bench", "--filter", "^(?!step)", "--filter=norm backward", "--peers", "nd4j,djl", "it's", "", "a:b");
        BenchRecord record = new BenchRecord(BenchRecord.BENCHMARK, file, command);
        record.write(true);
        String words = record.json().get("command").asString();
        assertEquals("bench --filter '^(?!step)' '--filter=norm backward' --peers nd4j,djl 'it'\\''s' '' a:b", words);
        assertEquals(
                String.join("\n", command),
                Machine.output("sh", "-c", "printf '%s\\n' " + words),
                "what a shell reads");
    }

    @Test
    void onTheEmulatedDeviceWithItsEvents() throws IOException {
        Path driver = Path.of(System.getProperty("jacquard.cuda.driver", "none"));
        assumeTrue(Files.exists(driver), () -> driver + " is not there; the tests of runtime-cuda build it");
        JsonNode record = run(0, "--device", "cuda", "--peers", "none", "--filter", "^(rms norm b|clip|step llama)");
        assertEquals("emulated", record.get("machine").asString());
        assertTrue(record.get("device").asString().contains("emulated driver"));
        assertEquals(3, record.get("rows").size());
        for (JsonNode row : record.get("rows")) {
            assertFalse(row.has("goal"), "goals are a GPU's");
        }
    }

    @Test
    void besidePyTorch() throws IOException {
        assumeTrue(
                !Machine.output("python3", "-c", "import torch; print(torch.__version__)")
                        .isEmpty(),
                "no torch");
        JsonNode record =
                run(0, "--device", "cpu", "--scale", "tiny", "--no-compile", "--filter", "^(gelu b|step gpt2)");
        JsonNode step = record.get("rows").get(0);
        assertEquals(
                "measured", step.get("peers").get("pytorch eager").get("status").asString());
        JsonNode row = record.get("rows").get(1);
        assertEquals("measured", row.get("status").asString());
        JsonNode peer = row.get("peers").get(row.get("best_peer").asString());
        assertTrue(peer.get("error_fp64").asDouble() <= row.get("error_allowed").asDouble());
        double ratio = row.get("ratio").asDouble();
        assertEquals(peer.get("micros").asDouble() / row.get("micros").asDouble(), ratio, 0.001 * ratio);
        assertTrue(row.get("low").asDouble() <= row.get("micros").asDouble());
        assertTrue(row.get("high").asDouble() >= row.get("micros").asDouble());
        double mean = Math.sqrt(ratio * step.get("ratio").asDouble());
        assertEquals(mean, record.get("geometric_means").get("pytorch").asDouble(), 0.001 * mean);
    }

    @Test
    void aPeerThatDiesCostsOnlyItself() throws IOException {
        Path script = directory.resolve("peer");
        Files.writeString(script, """
                #!/bin/sh
                echo '{"ready": true, "torch": "stand-in"}'
                read command && echo '{"gigabytes_per_second": 1}'
                read command && echo '{"variants": ["a", "b"]}'
                read command && echo '{"error": "RuntimeError: a cannot"}'
                """);
        assertTrue(script.toFile().setExecutable(true));
        JsonNode row = run(
                        0, "--device", "cpu", "--scale", "tiny", "--python", script.toString(), "--filter", "^gelu f")
                .get("rows")
                .get(0);
        assertEquals("no peer", row.get("status").asString());
        assertTrue(row.get("micros").asDouble() > 0);
        assertEquals(
                "RuntimeError: a cannot",
                row.get("peers").get("pytorch a").get("why").asString());
        assertTrue(
                row.get("peers").get("pytorch b").get("why").asString().startsWith("pytorch ended without an answer"));
    }

    @Test
    void aPeerThatIsNotKnownIsRefused() {
        StringWriter words = new StringWriter();
        assertEquals(
                2, commandLine().setErr(new PrintWriter(words)).execute("--scale", "tiny", "--peers", "pytorch,jax"));
        assertTrue(words.toString().startsWith("--peers jax: there are pytorch, nd4j, djl, javacpp"), words::toString);
    }

    /// A run with its report, then the same record compared with one in which a row took half the time.
    @Test
    void whatHasBecomeSlowerEndsWithThree() throws IOException {
        Path report = directory.resolve("report");
        JsonNode record =
                run(0, "--scale", "tiny", "--peers", "none", "--filter", "^gelu", "--report", report.toString());
        assertTrue(Files.readString(report.resolve("index.html")).contains("gelu backward 16x64 f32"));
        assertEquals(2, record.get("rows").size());
        ObjectNode faster = (ObjectNode) record.deepCopy();
        ArrayNode rounds = Lines.JSON.createArrayNode();
        for (JsonNode round : record.get("rows").get(0).get("rounds")) {
            ArrayNode turn = rounds.addArray();
            round.forEach(t -> turn.add(t.asDouble() / 1000));
        }
        ((ObjectNode) faster.get("rows").get(0)).set("rounds", rounds);
        Path before = Files.writeString(directory.resolve("before.json"), faster.toString());
        Path now = directory.resolve("record.json");
        assertEquals(3, commandLine().execute("--result", now.toString(), "--compare", before.toString()));
        assertEquals(0, commandLine().execute("--result", now.toString(), "--compare", now.toString()));
        StringWriter words = new StringWriter();
        assertEquals(
                2,
                commandLine()
                        .setErr(new PrintWriter(words))
                        .execute(
                                "--scale",
                                "tiny",
                                "--compare",
                                directory.resolve("none.json").toString()));
        assertEquals(
                directory.resolve("none.json") + ": no such record; bench --out FILE writes one",
                words.toString().strip());
    }

    @Test
    void whatTheBudgetLeavesOutIsNamed() throws IOException {
        JsonNode record =
                run(0, "--device", "cpu", "--scale", "tiny", "--peers", "none", "--filter", "^copy", "--budget", "0s");
        assertEquals(0, record.get("rows").size());
        assertEquals(1, record.get("skipped").size());
    }

    @Test
    void withoutADeviceItDoesNotStart() {
        assertEquals(2, commandLine().execute("--device", "cuda:77"));
    }

    @Test
    void aRecordWithATimeOfAWrongRowIsFaulty() {
        JsonNode record = Lines.JSON.readTree("""
                {"format": 2, "date": "", "commit": "", "command": "", "device": "", "machine": "gpu", "roofline": {},
                 "protocol": {}, "contenders": {"nd4j": {"present": false}},
                 "rows": [{"name": "x", "status": "no peer", "micros": 1, "error_fp64": 0.5, "error_allowed": 0.01}]}
                """);
        assertEquals(
                List.of("nd4j is not there, and no reason", "x: timed with an error of 0.5"),
                BenchRecord.faults(record));
    }
}
