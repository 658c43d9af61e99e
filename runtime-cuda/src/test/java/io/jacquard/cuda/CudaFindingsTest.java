package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.cuda.driver.Driver;
import io.jacquard.cuda.driver.Emulator;
import io.jacquard.cuda.driver.NvidiaLibrary;
import io.jacquard.tensor.spi.BackendProvider;
import io.jacquard.tensor.spi.Finding;
import io.jacquard.tensor.spi.Finding.State;
import java.nio.file.Path;
import java.util.List;
import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;

final class CudaFindingsTest {
    private static Finding finding(String what) {
        return ServiceLoader.load(BackendProvider.class).stream()
                .flatMap(provider -> provider.get().findings().stream())
                .filter(f -> f.what().equals(what))
                .findFirst()
                .orElseThrow();
    }

    @Test
    void whatIsThere() {
        String folder = System.getProperty("jacquard.cuda.libraries");
        assertEquals(
                new Finding(
                        State.OK,
                        "cuda driver",
                        "emulated, for CUDA 13.0, 1 device; " + Driver.get().path(),
                        null),
                finding("cuda driver"));
        assertEquals(
                new Finding(
                        State.OK,
                        "libcublasLt.so.13",
                        Path.of(folder, "libcublasLt.so.13").toString(),
                        null),
                finding("libcublasLt.so.13"));
        assertEquals(
                new Finding(State.OK, "libnccl.so.2", Path.of(folder, "libnccl.so.2") + " (NCCL 2.30.7)", null),
                finding("libnccl.so.2"));
        assertEquals(
                "cuBLASLt 130100 or our own kernels, by measurement",
                finding("matmul").found());
    }

    @Test
    void whatIsMissingHasARemedy() {
        assertEquals(
                new Finding(
                        State.WARN,
                        "libnccl.so.2",
                        "not found; tried /a, the loader's own search",
                        "several GPUs need it: install it (pip install nvidia-nccl-cu13, or libnccl2 of NVIDIA's"
                                + " repository), or name its folder by -Djacquard.cuda.libraries or"
                                + " JACQUARD_CUDA_LIBRARIES"),
                CudaFindings.nccl(new NvidiaLibrary("libnccl.so.2", null, List.of("/a", "the loader's own search"))));
    }

    @Test
    void anOldDriverIsBad() {
        Emulator.configure("driver", "12040");
        try {
            Finding driver = finding("cuda driver");
            assertEquals(State.BAD, driver.state());
            assertTrue(driver.found().startsWith("emulated, for CUDA 12.4"), driver.found());
            assertEquals("the kernels need CUDA 13.0: update the driver to 580 or newer", driver.fix());
        } finally {
            Emulator.configure("driver", "13000");
        }
    }
}
