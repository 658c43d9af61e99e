package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.cuda.driver.Driver;
import io.jacquard.cuda.driver.Emulator;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Debug;
import io.jacquard.tensor.Device;
import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.DeviceOutOfMemoryException;
import io.jacquard.tensor.Roofline;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Backend;
import io.jacquard.tensor.spi.Graph;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class CudaBackendTest {
    private static Session open() {
        return EmulatedDevice.open(90);
    }

    @Test
    void capturingRecordsAndReplayRuns() {
        try (Session session = open()) {
            Tensor y = Tensor.zeros(Shape.of(3), DType.F32);
            try (Graph graph = session.capture(() -> {
                y.kernels().fill(y, 2f);
                y.kernels().fill(y.rows(1, 2), 5f);
            })) {
                assertArrayEquals(new float[3], y.toFloats());
                graph.replay();
                assertArrayEquals(new float[] {2f, 5f, 2f}, y.toFloats());
                y.copyFrom(new float[3]);
                graph.replay();
                assertArrayEquals(new float[] {2f, 5f, 2f}, y.toFloats());
            }
        }
    }

    @Test
    void copiesAreRefusedDuringCapture() {
        try (Session session = open()) {
            Tensor x = Tensor.of(Shape.of(1), 1f);
            IllegalStateException e = assertThrows(
                    IllegalStateException.class, () -> session.capture(() -> x.copyFrom(new float[] {2f})));
            assertEquals(
                    "upload: not possible during capture, which records launches without running them; copy inputs"
                            + " before capture() and refresh them between replays",
                    e.getMessage());
            assertThrows(IllegalStateException.class, () -> session.capture(x::toFloats));
            assertThrows(IllegalStateException.class, () -> session.capture(session::synchronize));
            e = assertThrows(IllegalStateException.class, () -> session.capture(() -> session.capture(() -> {})));
            assertEquals("capture: already capturing; captures do not nest", e.getMessage());
            assertEquals(1f, x.item(), "capture failed, so launches run again");
        }
    }

    @Test
    void aClosedGraphIsRefused() {
        try (Session session = open()) {
            Graph graph = session.capture(() -> {});
            graph.close();
            assertEquals(
                    "replay: the graph is closed",
                    assertThrows(IllegalStateException.class, graph::replay).getMessage());
        }
    }

    @Test
    void aDeviceThatIsNotThereIsRefused() {
        int count = Driver.get().deviceCount();
        DeviceException e = assertThrows(DeviceException.class, () -> Session.open("cuda:" + count));
        assertTrue(
                e.getMessage().startsWith("device: cuda:" + count + " does not exist; the driver shows " + count),
                e::getMessage);
    }

    @Test
    void memoryIsAlignedAndLimited() {
        Device device = Device.parse("cuda");
        try (Backend backend = new CudaBackend(device, Driver.get().open(0))) {
            assertEquals(device, backend.device());
            assertEquals(0, backend.reserve(backend.memoryBytes() + 1));
            long address = backend.reserve(1000);
            assertEquals(0, address % 256);
            backend.unreserve(address);
            IllegalArgumentException e = assertThrows(IllegalArgumentException.class, () -> backend.unreserve(address));
            assertEquals("unreserve: address " + address + " was never reserved on cuda:0", e.getMessage());
        }
    }

    @Test
    void outOfMemoryNamesWhoHoldsIt() {
        Emulator.configure("memory", Long.toString(512L << 20));
        try (Session _ = open()) {
            Tensor weights = Tensor.zeros(Shape.of(1 << 20, 16), DType.F32).named("weights");
            try (Scope _ = Scope.open("step")) {
                Tensor logits = Tensor.empty(Shape.of(1 << 20, 64), DType.F32).named("logits");
                DeviceOutOfMemoryException e =
                        assertThrows(DeviceOutOfMemoryException.class, () -> Tensor.empty(logits.shape(), DType.F32));
                assertEquals(
                        "out of memory on cuda:0: wanted 256.0 MiB for [1048576, 64] F32, 192.0 MiB free of 512.0 MiB;"
                                + " held by scopes: run 64.0 MiB (weights 64.0 MiB), step 256.0 MiB (logits 256.0 MiB);"
                                + " try recompute or a smaller micro-batch",
                        e.getMessage());
            }
            assertEquals(0f, weights.rows(0, 1).toFloats()[15]);
        } finally {
            Emulator.configure("memory", Long.toString(8L << 30));
        }
    }

    /// Longer than the whole ring of staging memory, and not a multiple of its parts.
    @Test
    void largeCopiesComeBackWhole() {
        try (var _ = open()) {
            int n = 5_000_001;
            int[] values = IntStream.range(0, n).toArray();
            Tensor x = Tensor.of(Shape.of(n), values);
            Arrays.fill(values, -1);
            assertArrayEquals(IntStream.range(0, n).toArray(), x.toInts());
            assertArrayEquals(new int[] {n - 2}, x.rows(n - 2, n - 1).toInts());
        }
    }

    /// Each source is overwritten as soon as the copy returns, and there are more copies than parts of the ring.
    @Test
    void smallCopiesKeepTheirOrder() {
        try (var _ = open()) {
            Tensor x = Tensor.zeros(Shape.of(3), DType.I32);
            int[] host = new int[3];
            for (int i = 0; i < 1000; i++) {
                Arrays.fill(host, i);
                x.copyFrom(host);
            }
            Arrays.fill(host, -1);
            assertArrayEquals(new int[] {999, 999, 999}, x.toInts());
        }
    }

    /// The pool hands the memory of the dead tensor out again, and what it held must not pass for a value.
    @Test
    void whatADeadTensorLeftIsNotRead() {
        try (Session session = open()) {
            Tensor out = Tensor.zeros(Shape.of(64), DType.F32);
            session.synchronize();
            readsStale(session, () -> readBehindADeadTensor(out));
        }
    }

    /// In a graph the tensor dies again at each replay, where it died in the recording.
    @Test
    void whatADeadTensorLeftIsNotReadInAGraph() {
        try (Session session = open()) {
            Tensor out = Tensor.zeros(Shape.of(64), DType.F32);
            try (Graph graph = session.capture(() -> readBehindADeadTensor(out))) {
                session.synchronize();
                readsStale(session, graph::replay);
            }
        }
    }

    private static void readBehindADeadTensor(Tensor out) {
        long address;
        try (var _ = Scope.open("short")) {
            Tensor dead = Tensor.zeros(Shape.of(64), DType.F32);
            address = dead.address();
        }
        try (var _ = Scope.open("next")) {
            Tensor next = Tensor.empty(Shape.of(64), DType.F32);
            assertEquals(address, next.address());
            out.kernels().gelu(out, next);
        }
    }

    private static void readsStale(Session session, Runnable work) {
        DeviceException e = assertThrows(DeviceException.class, () -> {
            work.run();
            session.synchronize();
        });
        assertTrue(e.getMessage().contains("uninitialised: read of device memory"), e::getMessage);
    }

    /// A fill of more than there is, which only a checking device sees.
    private static DeviceException overrun() {
        try (Session session = open()) {
            Tensor x = Tensor.zeros(Shape.of(8), DType.F32);
            session.synchronize();
            return assertThrows(DeviceException.class, () -> {
                launchBeyond(session, x);
                session.synchronize();
            });
        }
    }

    private static void launchBeyond(Session session, Tensor x) {
        Launcher launcher = ((CudaBackend) session.backend()).launcher();
        launcher.start(launcher.kernel("fill_f32"))
                .tensor(x)
                .float32(1f)
                .int64(1L << 30)
                .run(1, 256);
    }

    @Test
    void theDeviceTimesWhatIsLaunched() {
        try (Session session = EmulatedDevice.open(90)) {
            Tensor x = Tensor.empty(Shape.of(8), DType.F32);
            double micros = session.backend().micros(() -> x.kernels().fill(x, 3f));
            assertTrue(micros > 0 && micros < 60e6, () -> "microseconds: " + micros);
            assertEquals(3f, x.rows(0, 1).item());
            assertThrows(
                    IllegalStateException.class,
                    () -> session.capture(() -> session.backend().micros(() -> {})));
        }
    }

    @Test
    void theRooflineIsThatOfTheDevice() {
        try (Session _ = EmulatedDevice.open(90)) {
            Roofline roofline = Roofline.of("cuda");
            assertTrue(roofline.gigabytesPerSecond() > 0);
            assertTrue(roofline.teraflops(DType.BF16) > 0);
            assertTrue(roofline.toString().startsWith("cuda:0, copy "), roofline::toString);
        }
    }

    @Test
    void anErrorIsReportedWhenTheHostWaits() {
        String message = overrun().getMessage();
        assertTrue(message.startsWith("cuda:0: waiting for the device: CUDA_ERROR_ILLEGAL_ADDRESS (700)"), message);
        assertTrue(message.contains("moving.cu"), message);
        assertTrue(
                message.endsWith("; an earlier launch failed: --sync (-Djacquard.sync=true) and no graph name it"),
                message);
    }

    @Test
    void inStepTheErrorNamesTheLaunch() {
        System.setProperty(Debug.SYNC, "true");
        try {
            String message = overrun().getMessage();
            assertTrue(
                    message.startsWith(
                            "cuda:0: kernel fill_f32 on 1x1x1 blocks of 256 threads, 0 bytes shared, operands"
                                    + " [8] F32: CUDA_ERROR_ILLEGAL_ADDRESS (700)"),
                    message);
        } finally {
            System.clearProperty(Debug.SYNC);
        }
    }
}
