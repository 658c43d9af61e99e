package io.jacquard.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.spi.Epilogue;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// What a person sees who asks for it by [Debug].
final class KernelTraceTest {
    @AfterEach
    void nobodyAsksAnyMore() {
        System.clearProperty(Debug.LEVEL);
        System.clearProperty(Debug.SYNC);
    }

    /// The lines of a session that multiplies, adds, captures an addition, and closes.
    private static List<String> linesAt(String level) {
        System.setProperty(Debug.LEVEL, level);
        PrintStream before = System.err;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        System.setErr(new PrintStream(bytes, true, StandardCharsets.UTF_8));
        try (Session session = Session.open("cpu")) {
            Tensor x = Tensor.of(Shape.of(2, 2), 1f, 2f, 3f, 4f);
            Tensor y = Tensor.empty(Shape.of(2, 2), DType.F32).named("y");
            y.kernels().matmul(y, x, false, x, true, 0f, Epilogue.NONE);
            y.kernels().add(y, y, x);
            session.summarize("step 1");
            session.summarize("nothing happened");
            try (var graph = session.capture(() -> y.kernels().add(y, y, x))) {
                graph.replay();
            }
            assertArrayEquals(new float[] {7f, 15f, 17f, 33f}, y.toFloats());
            y.kernels().fill(y, 0f);
            assertEquals(!level.equals("0"), session.isDebugging());
        } finally {
            System.setErr(before);
        }
        return bytes.toString(StandardCharsets.UTF_8).lines().toList();
    }

    private static void matches(List<String> expected, List<String> lines) {
        assertEquals(expected.size(), lines.size(), () -> String.join("\n", lines));
        for (int i = 0; i < expected.size(); i++) {
            String line = lines.get(i);
            assertTrue(line.matches(expected.get(i)), () -> line + "\nin\n" + String.join("\n", lines));
        }
    }

    @Test
    void nobodyAskedNobodyIsTold() {
        matches(List.of(), linesAt("0"));
    }

    @Test
    void levelOneSumsUp() {
        String row = " +1 calls +\\d+ us +\\d+\\.\\d% of the time, +\\d+% of the roofline";
        matches(
                List.of(
                        "roofline of cpu:0, copy .* GB/s, f32 matmul .* TFLOP/s.*",
                        "step 1: 2 kernel calls, \\d+ us, \\d+% of the roofline",
                        "  (matmul|add)" + row,
                        "  (matmul|add)" + row,
                        "until the close of cpu:0: 1 kernel calls, \\d+ us, \\d+% of the roofline",
                        "  fill" + row),
                linesAt("1"));
    }

    @Test
    void levelTwoPrintsEachCall() {
        List<String> lines =
                linesAt("2").stream().filter(l -> !l.startsWith("roofline")).toList();
        String y = "'y' \\[2, 2\\] F32";
        String rate = " +\\d+\\.\\d us +\\d+\\.\\d+ (TFLOP/s|GB/s   ) +\\d+%  ";
        matches(
                List.of(
                        "matmul" + rate + y + ", \\[2, 2\\] F32, false, \\[2, 2\\] F32, true, 0.0, Epilogue.*",
                        "add" + rate + y + ", " + y + ", \\[2, 2\\] F32",
                        "step 1: .*",
                        "  .*",
                        "  .*",
                        "fill" + rate + y + ", 0.0",
                        "until the close .*",
                        "  fill.*"),
                lines);
    }

    @Test
    void waitingIsDebugging() {
        System.setProperty(Debug.SYNC, "true");
        try (Session session = Session.open("cpu")) {
            assertTrue(session.isDebugging());
        }
        System.clearProperty(Debug.SYNC);
        try (Session session = Session.open("cpu")) {
            assertFalse(session.isDebugging());
        }
    }

    @Test
    void levelsAreFour() {
        System.setProperty(Debug.LEVEL, "4");
        assertEquals(
                "jacquard.debug: '4' is not a level from 0 to 3",
                assertThrows(IllegalArgumentException.class, () -> Session.open("cpu"))
                        .getMessage());
    }
}
