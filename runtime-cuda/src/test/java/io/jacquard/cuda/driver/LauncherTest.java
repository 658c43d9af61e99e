package io.jacquard.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.cuda.Garbage;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.List;
import org.junit.jupiter.api.Test;

final class LauncherTest {
    /// Recorded, not run: the emulator takes milliseconds for a launch.
    @Test
    void aLaunchAllocatesNothing() {
        try (Session session = Session.open("cuda")) {
            Tensor x = Tensor.zeros(Shape.of(100), DType.F32);
            Garbage.none(work -> session.capture(work).close(), i -> x.kernels().fill(x, i));
        }
    }

    @Test
    void aMissingKernelIsNamed() {
        try (Gpu gpu = Driver.get().open(0);
                KernelLibrary library = KernelLibrary.load(gpu, List.of(new byte[] {1}), "test")) {
            assertEquals(
                    "cuda: there is no kernel nothing_f32 in test; the kernels are older than this program: build"
                            + " them again",
                    assertThrows(DeviceException.class, () -> library.kernel("nothing_f32"))
                            .getMessage());
        }
    }

    @Test
    void aLaunchThatTheDriverRefusesNamesKernelAndOperands() {
        try (Gpu gpu = Driver.get().open(0);
                KernelLibrary library = KernelLibrary.load(gpu, List.of(new byte[] {1}), "test");
                Launcher launcher = new Launcher(gpu, library)) {
            DeviceException e = assertThrows(DeviceException.class, () -> {
                launcher.start(launcher.kernel("fill_f32"))
                        .tensor(null)
                        .float32(1f)
                        .int64(1)
                        .run(1, 4096);
                gpu.synchronize();
            });
            assertTrue(
                    e.getMessage().startsWith("cuda:0: kernel fill_f32 on 1x1x1 blocks of 4096 threads"),
                    e::getMessage);
        }
    }

    @Test
    void theWorkspaceGrowsOutsideCaptureOnly() {
        try (Gpu gpu = Driver.get().open(0);
                KernelLibrary library = KernelLibrary.load(gpu, List.of(new byte[] {1}), "test");
                Launcher launcher = new Launcher(gpu, library)) {
            long last = launcher.workspace(100);
            assertEquals(0, last % 256);
            long block = launcher.workspace(1 << 20);
            assertEquals(block + (1 << 20), last + 256, "the smallest block is 1 MiB, and its end is handed out");
            assertEquals(block + (1 << 20), launcher.workspace(257) + 512);
            launcher.workspace((1 << 20) + 1);
            gpu.beginCapture();
            launcher.workspace(2 << 20);
            IllegalStateException e =
                    assertThrows(IllegalStateException.class, () -> launcher.workspace((2 << 20) + 1));
            assertEquals(
                    "capture: a kernel needs a workspace of 2097153 bytes and has 2097152; run the work once before"
                            + " it is captured",
                    e.getMessage());
            gpu.abandonCapture();
        }
    }
}
