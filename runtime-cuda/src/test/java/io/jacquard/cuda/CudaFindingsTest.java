package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.cuda.driver.Driver;
import io.jacquard.cuda.driver.Emulator;
import io.jacquard.tensor.spi.BackendProvider;
import io.jacquard.tensor.spi.Finding;
import io.jacquard.tensor.spi.Finding.State;
import java.nio.file.Path;
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
                "cuBLASLt 130100 or our own kernels, by measurement",
                finding("matmul").found());
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
