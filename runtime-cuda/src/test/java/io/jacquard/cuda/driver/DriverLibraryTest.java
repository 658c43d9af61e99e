package io.jacquard.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.jacquard.tensor.DeviceException;
import java.util.List;
import org.junit.jupiter.api.Test;

final class DriverLibraryTest {
    @Test
    void aMissingDriverSaysWhatWasTriedAndTheWayOut() {
        DeviceException e = assertThrows(
                DeviceException.class, () -> DriverLibrary.open(List.of("libno-cuda.so.1", "/nowhere/libcuda.so.1")));
        assertEquals(
                "cuda: no NVIDIA driver found; tried libno-cuda.so.1, /nowhere/libcuda.so.1; install the driver"
                        + " (nvidia-smi must work), start the container with its GPU, or name the file by"
                        + " -Djacquard.cuda.driver=PATH or JACQUARD_CUDA_DRIVER; without a GPU train with --device cpu",
                e.getMessage());
    }

    @Test
    void aNamedFileIsTheOnlyPlace() {
        assertEquals(List.of("/a"), DriverLibrary.places("/a", "/b"));
        assertEquals(List.of("/b"), DriverLibrary.places("", "/b"));
        assertEquals("libcuda.so.1", DriverLibrary.places(null, null).getFirst());
    }

    @Test
    void aLibraryWithoutTheFunctionsIsNoDriver() {
        DriverLibrary libc = DriverLibrary.open(List.of("libc.so.6"));
        assertEquals(
                "cuda: libc.so.6 has no function cuInit; the driver is older than 12.4: update it, or train with"
                        + " --device cpu",
                assertThrows(DeviceException.class, () -> libc.function("cuInit"))
                        .getMessage());
    }
}
