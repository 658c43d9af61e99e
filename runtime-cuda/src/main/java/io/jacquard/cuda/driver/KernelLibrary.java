package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.tensor.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/// A compiled image, loaded.
public final class KernelLibrary implements AutoCloseable {
    private static final int NOT_FOUND = 500;

    private final Gpu gpu;
    private final String origin;
    private final long library;

    private KernelLibrary(Gpu gpu, String origin, long library) {
        this.gpu = gpu;
        this.origin = origin;
        this.library = library;
    }

    /// Loads a cubin. `origin` names it in messages.
    ///
    /// @throws DeviceException if the driver cannot use it
    public static KernelLibrary load(Gpu gpu, byte[] image, String origin) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = arena.allocate(image.length, 16);
            copy.copyFrom(MemorySegment.ofArray(image));
            MemorySegment handle = arena.allocate(JAVA_LONG);
            gpu.check(
                    Calls.libraryLoadData(handle.address(), copy.address(), 0, 0, 0, 0, 0, 0),
                    "loading the kernels of " + origin);
            return new KernelLibrary(gpu, origin, handle.get(JAVA_LONG, 0));
        }
    }

    /// The kernel of that name.
    ///
    /// @throws DeviceException if there is none
    public Kernel kernel(String name) {
        Kernel kernel = find(name);
        if (kernel == null) {
            throw new DeviceException("cuda: there is no kernel " + name + " in " + origin
                    + "; the kernels are older than this program: build them again");
        }
        return kernel;
    }

    /// The kernel of that name, or null when there is none.
    public @Nullable Kernel find(String name) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment handle = arena.allocate(JAVA_LONG);
            int code = Calls.libraryGetKernel(
                    handle.address(), library, arena.allocateFrom(name).address());
            if (code == NOT_FOUND) {
                return null;
            }
            gpu.check(code, "looking up kernel " + name);
            gpu.check(Calls.kernelGetFunction(handle.address(), handle.get(JAVA_LONG, 0)), "loading kernel " + name);
            return new Kernel(gpu, name, handle.get(JAVA_LONG, 0));
        }
    }

    @Override
    public void close() {
        int _ = Calls.libraryUnload(library);
    }
}
