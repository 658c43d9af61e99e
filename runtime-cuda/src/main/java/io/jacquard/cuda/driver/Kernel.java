package io.jacquard.cuda.driver;

/// A kernel that was found in a [KernelLibrary].
public final class Kernel {
    private static final int ATTRIBUTE_MAX_DYNAMIC_SHARED = 8;

    /// What a block may have without asking.
    private static final int SHARED_WITHOUT_ASKING = 48 << 10;

    private final Gpu gpu;
    private final String name;
    private final long function;
    private int sharedLimit = SHARED_WITHOUT_ASKING;

    Kernel(Gpu gpu, String name, long function) {
        this.gpu = gpu;
        this.name = name;
        this.function = function;
    }

    /// As in the source.
    public String name() {
        return name;
    }

    long function() {
        return function;
    }

    /// Raises the limit of dynamic shared memory once, when a launch first needs more.
    void allowShared(int bytes) {
        if (bytes > sharedLimit) {
            gpu.check(
                    Calls.funcSetAttribute(function, ATTRIBUTE_MAX_DYNAMIC_SHARED, bytes),
                    "kernel " + name + ": " + bytes + " bytes of shared memory of " + gpu.sharedBytes());
            sharedLimit = bytes;
        }
    }

    @Override
    public String toString() {
        return name;
    }
}
