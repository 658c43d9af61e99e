package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.tensor.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/// Compiled images, loaded: the kernels of a device.
public final class KernelLibrary implements AutoCloseable {
    private static final int NOT_FOUND = 500;

    private final Gpu gpu;
    private final String origin;
    private final long[] libraries;
    private final Set<String> found = new TreeSet<>();

    private KernelLibrary(Gpu gpu, String origin, long[] libraries) {
        this.gpu = gpu;
        this.origin = origin;
        this.libraries = libraries;
    }

    /// Loads cubins. `origin` names them in messages.
    ///
    /// @throws DeviceException if the driver cannot use one
    public static KernelLibrary load(Gpu gpu, List<byte[]> images, String origin) {
        long[] libraries = new long[images.size()];
        for (int i = 0; i < libraries.length; i++) {
            libraries[i] = load(gpu, images.get(i), origin);
        }
        return new KernelLibrary(gpu, origin, libraries);
    }

    private static long load(Gpu gpu, byte[] image, String origin) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = arena.allocate(image.length, 16);
            copy.copyFrom(MemorySegment.ofArray(image));
            MemorySegment handle = arena.allocate(JAVA_LONG);
            gpu.check(Calls.libraryLoadData(handle.address(), copy.address(), 0, 0, 0, 0, 0, 0), "loading " + origin);
            return handle.get(JAVA_LONG, 0);
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
            long text = arena.allocateFrom(name).address();
            for (long library : libraries) {
                int code = Calls.libraryGetKernel(handle.address(), library, text);
                if (code != NOT_FOUND) {
                    gpu.check(code, "looking up kernel " + name);
                    gpu.check(
                            Calls.kernelGetFunction(handle.address(), handle.get(JAVA_LONG, 0)),
                            "loading kernel " + name);
                    found.add(name);
                    return new Kernel(gpu, name, handle.get(JAVA_LONG, 0));
                }
            }
            return null;
        }
    }

    /// The names of the kernels that were asked for and found.
    public Set<String> found() {
        return Set.copyOf(found);
    }

    @Override
    public void close() {
        for (long library : libraries) {
            int _ = Calls.libraryUnload(library);
        }
    }
}
