package io.jacquard.cuda;

import io.jacquard.cuda.driver.Emulator;
import io.jacquard.tensor.Session;
import java.nio.file.Path;
import java.util.function.Consumer;

/// Sessions on the emulated driver.
public final class EmulatedDevice {
    private EmulatedDevice() {}

    /// Opens the device as one of compute capability `capability`: 80 for 8.0.
    public static Session open(int capability) {
        Emulator.configure("arch", Integer.toString(capability));
        return Session.open("cuda");
    }

    /// The same with matrix products by `mode`, `cublaslt` (the stand-in) or `auto`, which remember their
    /// algorithms in `cache`.
    static Session openWithCublasLt(int capability, String mode, Path cache) {
        System.setProperty("jacquard.cuda.matmul", mode);
        System.setProperty("jacquard.cache", cache.toString());
        try {
            return open(capability);
        } finally {
            System.clearProperty("jacquard.cuda.matmul");
            System.clearProperty("jacquard.cache");
        }
    }

    /// Runs work and waits until the device has done it.
    static Consumer<Runnable> waiting(Session session) {
        return work -> {
            work.run();
            session.synchronize();
        };
    }
}
