package io.jacquard.benchmarks.suite;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// The lines on the terminal.
final class TableTest {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final Table table = new Table(new PrintStream(bytes, true, UTF_8), List.of("pytorch", "nd4j"));

    private static Map<String, Object> row(String name) {
        return Map.of(
                "name",
                name,
                "micros",
                50.0,
                "peers",
                Map.of(
                        "pytorch eager", Map.of("micros", 100.0, "ratio", 2.0),
                        "pytorch compile", Map.of("status", "failed", "why", "no compiler"),
                        "nd4j samediff", Map.of("status", "failed", "why", "no answer within 20 s")));
    }

    @Test
    void aPeerWithoutAFigureSaysWhyOnce() {
        table.row(row("gelu"));
        table.row(row("copy"));
        List<String> lines = bytes.toString(UTF_8).lines().toList();
        assertEquals(3, lines.size(), lines.toString());
        assertEquals("    nd4j samediff: no answer within 20 s", lines.get(1));
    }

    @Test
    void whatWasLeftOutIsNamed() {
        table.skipped(List.of());
        table.skipped(List.of("gelu", "swiglu", "copy"));
        assertEquals(
                "not run, out of time: 3 rows, from 'gelu' to 'copy'; a larger --budget or a --filter has them\n",
                bytes.toString(UTF_8));
    }
}
