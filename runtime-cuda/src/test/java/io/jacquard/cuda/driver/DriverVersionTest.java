package io.jacquard.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.jacquard.tensor.DeviceException;
import org.junit.jupiter.api.Test;

final class DriverVersionTest {
    @Test
    void aDriverThatIsTooOldIsRefused() {
        Emulator.configure("driver", "12080");
        try {
            DeviceException e =
                    assertThrows(DeviceException.class, () -> Driver.get().open(0));
            assertEquals(
                    "cuda: the driver at " + Driver.get().path() + " is for CUDA 12.8; the kernels need 13.0, which is"
                            + " driver 580 or newer: update it (nvidia-smi shows its version), or train with"
                            + " --device cpu",
                    e.getMessage());
        } finally {
            Emulator.configure("driver", "13000");
        }
    }
}
