package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.DType;
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

    @Test
    void theTraceHasALineForEachLaunch() {
        PrintStream before = System.err;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        System.setErr(new PrintStream(bytes, true, StandardCharsets.UTF_8));
        System.setProperty("jacquard.cuda.trace", "true");
        try (Session session = EmulatedDevice.open(90)) {
            Tensor x = Tensor.empty(Shape.of(8, 3), DType.BF16);
            x.kernels().fill(x, 1f);
            session.synchronize();
        } finally {
            System.clearProperty("jacquard.cuda.trace");
            System.setErr(before);
        }
        String line = bytes.toString(StandardCharsets.UTF_8);
        assertTrue(
                line.matches("fill_bf16 +\\d+\\.\\d us +\\d+\\.\\d GB/s +(\\d+%)? +1x1x1 x 256  \\[8, 3\\] BF16\\R"),
                line);
    }
}
