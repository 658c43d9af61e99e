package io.jacquard.benchmarks.peers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.benchmarks.suite.Deviation;
import io.jacquard.benchmarks.suite.Lines;
import io.jacquard.benchmarks.suite.Row;
import io.jacquard.benchmarks.suite.Rows;
import io.jacquard.tensor.DType;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/// Each peer in a process of its own, by the protocol.
class PeerServerTest {
    private static final String NO_PRODUCTS =
            "UnsupportedOperationException: ND4J adds the terms of BF16 products up in"
                    + " BF16: its results are off by 1e-2 and more";

    private static final String F32_ONLY = "UnsupportedOperationException: DJL computes in f32 only: its PyTorch engine"
            + " does not know BFLOAT16, and a cast to it ends the JVM";

    private static final String NO_LINEAR =
            "UnsupportedOperationException: rows of linear layers, in any precision, are for PyTorch alone";

    /// What the tiny GPT-2 comes to after 4, 8, 12 and 16 steps from these weights on these tokens, by PyTorch
    /// 2.13.
    private static final double[] LOSSES = {5.414344, 5.206660, 5.020467, 4.873792};

    @ParameterizedTest
    @ValueSource(strings = {"javacpp", "djl", "nd4j"})
    void everyRowIsRightOrRefused(String name) throws Exception {
        try (Child peer = new Child(name, "--threads", "1")) {
            assertEquals(1, peer.ready.get("threads").asInt(), peer.ready::toString);
            assertFalse(peer.ready.get("version").asString().isEmpty());
            assertFalse(peer.ready.get("blas").asString().isEmpty());
            for (String dtype : List.of("f32", "bf16")) {
                for (Row row : Rows.of(Rows.Scale.TINY, dtype)) {
                    JsonNode answer = peer.ask(Map.of("do", "prepare", "row", row.spec()));
                    assertEquals(refusal(name, row), answer.path("error").asString(""), row.name());
                    if (answer.has("variants") && !row.isStep()) {
                        isRight(peer, row, answer.get("variants"));
                    }
                }
            }
            assertEquals(0, peer.quit());
        }
    }

    /// Why this peer has no way of doing this row; empty where it has one.
    private static String refusal(String peer, Row row) {
        String kind = row.spec().get("kind") + " " + row.spec().get("dtype");
        return switch (peer + " " + kind) {
            case "nd4j matmul bf16", "nd4j int4 bf16", "nd4j attention bf16" -> NO_PRODUCTS;
            case "nd4j step bf16" ->
                "UnsupportedOperationException: SameDiff trains in f32 only: ND4J adds the terms of BF16 products up in"
                        + " BF16";
            default ->
                kind.startsWith("linear") ? NO_LINEAR : peer.equals("djl") && kind.endsWith("bf16") ? F32_ONLY : "";
        };
    }

    private static void isRight(Child peer, Row row, JsonNode variants) throws IOException {
        assertFalse(variants.isEmpty(), row.name());
        double allowed = Deviation.allowed(
                DType.valueOf(String.valueOf(row.spec().get("dtype")).toUpperCase(Locale.ROOT)));
        for (JsonNode variant : variants) {
            String what = row.name() + ", " + variant.asString();
            for (int again = 0; again < 2; again++) {
                JsonNode check = peer.ask(Map.of("do", "check", "variant", variant.asString()));
                assertTrue(check.path("error_fp64").asDouble(Double.NaN) <= allowed, () -> what + ": " + check);
            }
            JsonNode time = peer.ask(Map.of(
                    "do", "time", "variant", variant.asString(), "repetitions", 3, "launches", 2, "flush_bytes", 0));
            assertEquals(3, time.path("micros").size(), () -> what + ": " + time);
            time.get("micros").forEach(micros -> assertTrue(micros.asDouble() > 0, () -> what + ": " + time));
        }
        assertEquals("{}", peer.ask(Map.of("do", "free")).toString());
    }

    @ParameterizedTest
    @ValueSource(strings = {"javacpp", "djl", "nd4j"})
    void lossFallsAsPyTorchSays(String name) throws Exception {
        Row row = Rows.of(Rows.Scale.TINY, "f32").stream()
                .filter(Row::isStep)
                .findFirst()
                .orElseThrow();
        try (Child peer = new Child(name, "--threads", "1")) {
            assertEquals(
                    "IllegalStateException: no model is started",
                    peer.ask(Map.of("do", "run", "steps", 1)).get("error").asString());
            JsonNode variants =
                    peer.ask(Map.of("do", "prepare", "row", row.spec())).get("variants");
            for (JsonNode variant : variants) {
                JsonNode started = peer.ask(Map.of("do", "start", "variant", variant.asString()));
                assertEquals(117504, started.path("parameters").asInt(), started::toString);
                for (int i = 0; i < LOSSES.length; i++) {
                    JsonNode run = peer.ask(Map.of("do", "run", "steps", 3));
                    assertEquals(4 * (i + 1), run.path("step").asInt(), run::toString);
                    assertEquals(LOSSES[i], run.get("loss").asDouble(), 2e-3, () -> variant + ": " + run);
                    assertTrue(run.get("micros").asDouble() > 0, run::toString);
                    assertTrue(run.get("peak_rss_bytes").asLong() > 1 << 20, run::toString);
                }
            }
        }
    }

    @Test
    void anUnknownPeerIsNamed() throws Exception {
        try (Child peer = new Child("matlab")) {
            assertEquals(
                    "IllegalArgumentException: there is no peer 'matlab'; there are nd4j, djl, javacpp",
                    peer.ready.get("error").asString());
        }
    }

    @Test
    void errorsSayWhatIsWrong() {
        List<String> log = new ArrayList<>();
        PeerServer server = new PeerServer(new FakePeer(log));
        Map<String, Object> row = new LinkedHashMap<>(Rows.of(Rows.Scale.TINY, "f32").stream()
                .filter(r -> r.name().startsWith("copy"))
                .findFirst()
                .orElseThrow()
                .spec());
        assertEquals("{variants=[unwritten]}", ask(server, Map.of("do", "prepare", "row", row)));
        assertEquals("{error_fp64=Infinity}", ask(server, Map.of("do", "check", "variant", "unwritten")));
        assertEquals(
                "there is no variant 'fast' of the prepared row; there are [unwritten]",
                ask(server, Map.of("do", "check", "variant", "fast")));
        assertEquals(
                "the JVM peers run on the CPU, where nothing is flushed",
                ask(
                        server,
                        Map.of(
                                "do",
                                "time",
                                "variant",
                                "unwritten",
                                "repetitions",
                                1,
                                "launches",
                                1,
                                "flush_bytes",
                                4096)));
        assertEquals("unknown command {\"do\":\"dance\"}", ask(server, Map.of("do", "dance")));
        row.put("kind", "sorting");
        assertTrue(ask(server, Map.of("do", "prepare", "row", row)).startsWith("row of unknown kind: {"));
        row.put("kind", "moving");
        row.put("dtype", "f16");
        assertEquals(
                "rows of the JVM peers are f32 or bf16, not F16", ask(server, Map.of("do", "prepare", "row", row)));
        assertEquals(List.of("closed"), log);
    }

    private static String ask(PeerServer server, Map<String, ?> command) {
        try {
            return server.answer(Lines.JSON.valueToTree(command)).toString();
        } catch (IllegalArgumentException e) {
            return e.getMessage();
        }
    }
}
