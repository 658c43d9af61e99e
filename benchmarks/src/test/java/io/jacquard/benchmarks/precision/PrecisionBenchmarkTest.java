package io.jacquard.benchmarks.precision;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/// Arguments with which the comparison would mean nothing.
final class PrecisionBenchmarkTest {
    private static void refused(String words, String... args) throws IOException {
        ByteArrayOutputStream errors = new ByteArrayOutputStream();
        assertEquals(2, PrecisionBenchmark.run(args, new PrintStream(errors, true, StandardCharsets.UTF_8)));
        assertEquals("precision-benchmark: " + words + System.lineSeparator(), errors.toString(StandardCharsets.UTF_8));
    }

    @Test
    void f32ComesFirst() throws IOException {
        refused(
                "--precisions bf16,f32: expected f32 first, which the others are compared with",
                "--precisions",
                "bf16,f32");
        refused("--precisions : expected f32 first, which the others are compared with", "--precisions", "");
    }

    @Test
    void optionsHaveValues() throws IOException {
        refused("--steps without a value; expected one behind each option", "--seeds", "1", "--steps");
        refused("unknown option --step", "--step", "1");
        refused("unknown option --help", "--help");
    }
}
