package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Path;

/// The settings of the stand-in for NCCL.
public final class NcclStandIn {
    private NcclStandIn() {}

    /// The file; a real library where the tests run on a GPU.
    public static Path path() {
        return Path.of(System.getProperty("jacquard.cuda.libraries"), Nccl.LIBRARY);
    }

    /// The next call of a function answers with a code.
    public static void fail(String function, int code) {
        ask(function, code);
    }

    /// What it says of itself.
    public static void version(int version) {
        ask("version", version);
    }

    /// All communicators find an error by themselves.
    public static void asyncError(int code) {
        ask("async", code);
    }

    /// How many communicators are open.
    public static long communicators() {
        return ask("communicators", 0);
    }

    @SuppressWarnings("restricted")
    private static long ask(String key, long value) {
        try (Arena arena = Arena.ofConfined()) {
            return (long) Linker.nativeLinker()
                    .downcallHandle(
                            SymbolLookup.libraryLookup(path(), Arena.global()).findOrThrow("nccl_stand_in"),
                            FunctionDescriptor.of(JAVA_LONG, ADDRESS, JAVA_LONG))
                    .invokeExact(arena.allocateFrom(key), value);
        } catch (Throwable t) {
            throw new IllegalStateException("the stand-in for NCCL failed in Java", t);
        }
    }
}
