package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.util.Objects;

/// The numbers that the stand-in for NVIDIA's management library tells of the emulated device.
public final class NvmlStandIn {
    private NvmlStandIn() {}

    /// Changes one; -1 is not supported.
    @SuppressWarnings("restricted")
    public static void set(String name, long value) {
        NvidiaLibrary library = NvidiaLibrary.open("libnvidia-ml.so.1");
        try (Arena arena = Arena.ofConfined()) {
            var set = SymbolLookup.libraryLookup(Objects.requireNonNull(library.path()), Arena.global())
                    .findOrThrow("nvml_stand_in_set");
            Linker.nativeLinker()
                    .downcallHandle(set, FunctionDescriptor.ofVoid(ADDRESS, JAVA_LONG))
                    .invokeExact(arena.allocateFrom(name), value);
        } catch (Throwable t) {
            throw new IllegalStateException("the stand-in for NVML failed in Java", t);
        }
    }

    /// As it is at the start of a process.
    public static void reset() {
        set("energy", 5_000_000);
        set("reasons", 0);
        set("temperature", 41);
    }
}
