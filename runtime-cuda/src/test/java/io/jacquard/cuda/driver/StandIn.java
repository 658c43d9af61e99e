package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;

/// The settings and counters of the stand-in for cuBLASLt.
@SuppressWarnings("restricted")
public final class StandIn {
    private static final MethodHandle FUNCTION = Linker.nativeLinker()
            .downcallHandle(
                    SymbolLookup.libraryLookup(
                                    Path.of(System.getProperty("jacquard.cuda.libraries"), "libcublasLt.so.13"),
                                    Arena.global())
                            .findOrThrow("jacquard_standin"),
                    FunctionDescriptor.of(JAVA_LONG, ADDRESS, JAVA_LONG));

    private StandIn() {}

    /// The status that every product returns; 0 lets them run.
    public static void fail(int status) {
        ask("failure", status);
    }

    /// The status of every request for algorithms; 0 answers them.
    public static void refuse(int status) {
        ask("refusal", status);
    }

    /// What the library says of its version.
    public static void version(int version) {
        ask("version", version);
    }

    /// The one algorithm that is proposed; -1: all of them.
    public static void only(int algorithm) {
        ask("only", algorithm);
    }

    /// How often algorithms were asked for.
    public static long searches() {
        return ask("searches", 0);
    }

    /// How many products were launched.
    public static long products() {
        return ask("products", 0);
    }

    /// The algorithm of the last one: 0 is the first choice and slow, 1 is refused, 2 and 3 are fast.
    public static long algorithm() {
        return ask("algorithm", 0);
    }

    private static long ask(String key, long value) {
        try (Arena arena = Arena.ofConfined()) {
            return (long) FUNCTION.invokeExact(arena.allocateFrom(key), value);
        } catch (Throwable t) {
            throw new IllegalStateException("stand-in: the call failed in Java", t);
        }
    }
}
