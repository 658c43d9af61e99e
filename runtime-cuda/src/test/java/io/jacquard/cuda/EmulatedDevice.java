package io.jacquard.cuda;

import io.jacquard.cuda.driver.Emulator;
import io.jacquard.tensor.Session;

/// Sessions on the emulated driver.
public final class EmulatedDevice {
    private EmulatedDevice() {}

    /// Opens the device as one of compute capability `capability`: 80 or 90.
    public static Session open(int capability) {
        Emulator.configure("arch", Integer.toString(capability));
        return Session.open("cuda");
    }
}
