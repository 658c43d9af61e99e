package io.jacquard.line;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;

/// The environment that native libraries of this process see, which is not the copy that Java keeps.
public final class NativeEnvironment {
    private NativeEnvironment() {}

    /// To be called before a communication library is loaded.
    ///
    /// UCX, below MPICH, below Open MPI on InfiniBand and in plug-ins of NCCL, installs handlers for the signals by
    /// which the JVM finds null pointers, and ends the process at the first one; PSM likewise. They look here when
    /// they are loaded.
    public static void leaveSignalsToTheJvm() {
        set("UCX_ERROR_SIGNALS", "");
        set("IPATH_NO_BACKTRACE", "1");
        set("HFI_NO_BACKTRACE", "1");
    }

    /// Sets a variable, unless the user has.
    @SuppressWarnings("restricted")
    private static void set(String name, String value) {
        Linker linker = Linker.nativeLinker();
        MethodHandle setenv = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("setenv"),
                FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT));
        try (Arena arena = Arena.ofConfined()) {
            int _ = (int) setenv.invokeExact(arena.allocateFrom(name), arena.allocateFrom(value), 0);
        } catch (Throwable t) {
            throw new IllegalStateException("setenv of " + name + " failed in Java", t);
        }
    }
}
