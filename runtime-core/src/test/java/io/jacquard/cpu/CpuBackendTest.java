package io.jacquard.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Device;
import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Backend;
import io.jacquard.tensor.spi.Graph;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

final class CpuBackendTest {
    @Test
    void capturingRecordsAndReplayRuns() {
        try (Session session = Session.open("cpu")) {
            Tensor x = Tensor.of(Shape.of(3), 1f, 2f, 3f);
            Tensor y = Tensor.zeros(Shape.of(3), DType.F32);
            try (Graph graph = session.capture(() -> {
                y.kernels().axpby(y, 2f, x, 1f);
                y.kernels().add(y, y, x);
            })) {
                assertArrayEquals(new float[3], y.toFloats());
                graph.replay();
                assertArrayEquals(new float[] {3f, 6f, 9f}, y.toFloats());
                x.copyFrom(new float[] {10f, 10f, 10f});
                graph.replay();
                assertArrayEquals(new float[] {33f, 36f, 39f}, y.toFloats());
            }
        }
    }

    @Test
    void copiesAreRefusedDuringCapture() {
        try (Session session = Session.open("cpu")) {
            Tensor x = Tensor.of(Shape.of(1), 1f);
            IllegalStateException e = assertThrows(
                    IllegalStateException.class, () -> session.capture(() -> x.copyFrom(new float[] {2f})));
            assertEquals(
                    "upload: not possible during capture, which records launches without running them; copy inputs"
                            + " before capture() and refresh them between replays",
                    e.getMessage());
            assertThrows(IllegalStateException.class, () -> session.capture(x::toFloats));
            assertEquals(1f, x.item(), "capture failed, so launches run again");
        }
    }

    /// A message that is under way when the session ends, because of a failure, may still be written.
    @Test
    void lentMemoryOutlivesItsSession() {
        Backend backend;
        long address;
        try (Session session = Session.open("cpu")) {
            backend = session.backend();
            address = Tensor.of(Shape.of(1), 7f).address();
            backend.lend();
            backend.lend();
            backend.returned();
        }
        assertEquals(7f, Mem.ALL.get(ValueLayout.JAVA_FLOAT, address));
        backend.returned();
    }

    @Test
    void aClosedGraphIsRefused() {
        try (Session session = Session.open("cpu")) {
            Graph graph = session.capture(() -> {});
            graph.close();
            assertEquals(
                    "replay: the graph is closed",
                    assertThrows(IllegalStateException.class, graph::replay).getMessage());
        }
    }

    @Test
    void thereIsOneCpu() {
        DeviceException e = assertThrows(DeviceException.class, () -> Session.open("cpu:1"));
        assertEquals("device: cpu:1 does not exist; all cores are one device, cpu:0", e.getMessage());
    }

    @Test
    void memoryIsAlignedZeroAndLimited() {
        try (Backend backend = new CpuBackend(Device.parse("cpu"), Workers.shared())) {
            long total = backend.memoryBytes();
            assertTrue(total > 1L << 28, () -> "memory " + total);
            assertEquals(0, backend.reserve(total + 1));
            // far more than this test touches: pages cost nothing until they are used
            long address = backend.reserve(total / 2);
            assertEquals(0, address % 256);
            assertEquals(0f, Mem.getFloat(address + total / 4));
            assertEquals(0, backend.reserve(total / 2 + (1L << 22)));
            backend.unreserve(address);
            long again = backend.reserve(total / 2);
            assertTrue(again != 0);
            assertThrows(IllegalArgumentException.class, () -> backend.unreserve(again + 1));
        }
    }

    @Test
    void idsAndLabelsOutsideAreRefused() {
        try (Session session = Session.open("cpu")) {
            Tensor table = Tensor.zeros(Shape.of(4, 2), DType.F32);
            Tensor out = Tensor.zeros(Shape.of(2, 2), DType.F32);
            Tensor ids = Tensor.of(Shape.of(2), 1, 4);
            IllegalArgumentException e = assertThrows(
                    IllegalArgumentException.class, () -> out.kernels().embedding(out, table, ids, 0, 4, null));
            assertEquals("embedding: id 4 at index 1 is not in the table of 4 rows", e.getMessage());
            Tensor losses = Tensor.zeros(Shape.of(2), DType.F32);
            e = assertThrows(IllegalArgumentException.class, () -> out.kernels().crossEntropy(losses, out, ids, null));
            assertEquals("crossEntropy: label 4 of row 1 is not below the 2 classes", e.getMessage());
            assertEquals(Device.parse("cpu"), session.device());
        }
    }
}
