package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Debug;
import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What a person sees who looks on: flight recorder and trace.
final class EventsTest {
    @Test
    void theFlightRecorderSeesCopiesMemoryGraphsAndLaunches(@TempDir Path directory) throws Exception {
        Path file = directory.resolve("test.jfr");
        try (Recording recording = new Recording()) {
            recording.enable("io.jacquard.Launch");
            recording.start();
            try (Session session = EmulatedDevice.open(90)) {
                Tensor x = Tensor.zeros(Shape.of(64), DType.F32);
                try (var graph = session.capture(() -> x.kernels().fill(x, 2f))) {
                    graph.replay();
                }
                assertEquals(2f, x.rows(3, 4).item());
            }
            recording.stop();
            recording.dump(file);
        }
        List<RecordedEvent> events = RecordingFile.readAllEvents(file).stream()
                .filter(e -> e.getEventType().getName().startsWith("io.jacquard."))
                .toList();
        String seen = events.stream()
                .filter(e -> !e.getEventType().getName().endsWith("Allocation"))
                .map(e -> switch (e.getEventType().getName()) {
                    case "io.jacquard.Launch" -> e.getString("kernel") + (e.getBoolean("captured") ? " captured" : "");
                    case "io.jacquard.Copy" -> (e.getBoolean("toDevice") ? "up " : "down ") + e.getLong("bytes");
                    default -> e.getEventType().getName();
                })
                .collect(Collectors.joining(", "));
        assertEquals("fill_f32, fill_f32 captured, io.jacquard.GraphReplay, down 4", seen);
        assertTrue(events.stream()
                .anyMatch(e -> e.getEventType().getName().equals("io.jacquard.Allocation")
                        && e.getBoolean("granted")
                        && e.getLong("bytes") == 64 << 20));
    }

    private static List<String> debugged(String level, Runnable work) {
        PrintStream before = System.err;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        System.setErr(new PrintStream(bytes, true, StandardCharsets.UTF_8));
        System.setProperty(Debug.LEVEL, level);
        try (Session _ = EmulatedDevice.open(90)) {
            work.run();
        } finally {
            System.clearProperty(Debug.LEVEL);
            System.setErr(before);
        }
        return bytes.toString(StandardCharsets.UTF_8)
                .lines()
                .filter(l -> !l.startsWith("roofline of cuda:0, copy "))
                .toList();
    }

    private static void fill() {
        Tensor x = Tensor.empty(Shape.of(8, 3), DType.BF16);
        x.kernels().fill(x, 1f);
    }

    @Test
    void theTraceHasALineForEachCall() {
        List<String> lines = debugged("2", EventsTest::fill);
        assertEquals(3, lines.size(), lines::toString);
        assertTrue(
                lines.get(0).matches("fill +\\d+\\.\\d us +\\d+\\.\\d GB/s +\\d+%  \\[8, 3\\] BF16, 1\\.0"),
                lines::toString);
        assertTrue(
                lines.get(1).matches("until the close of cuda:0: 1 kernel calls, \\d+ us, \\d+% of the roofline"),
                lines::toString);
    }

    @Test
    void theTraceHasALineForEachLaunch() {
        List<String> lines = debugged("3", EventsTest::fill);
        assertEquals(4, lines.size(), lines::toString);
        assertTrue(
                lines.getFirst().matches(" +fill_bf16 +\\d+\\.\\d us  1x1x1 x 256, 0 bytes shared"), lines::toString);
        assertTrue(lines.get(1).startsWith("fill "), lines::toString);
    }

    /// Reads memory that nobody wrote, which only a checking device sees.
    @Test
    void theTraceNamesTheCallThatFailed() {
        DeviceException e = assertThrows(
                DeviceException.class,
                () -> debugged("1", () -> {
                    Tensor x = Tensor.empty(Shape.of(8), DType.F32);
                    x.kernels().gelu(x, x);
                }));
        assertTrue(
                e.getMessage().startsWith("in gelu([8] F32, [8] F32): cuda:0: waiting for the device: CUDA_ERROR"),
                e::getMessage);
        assertTrue(e.getMessage().contains("gelu_f32"), e::getMessage);
    }
}
