package io.jacquard.kernels;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// NVIDIA's run-time compiler: CUDA C++ in, cubin out. Needs neither a driver nor a toolkit nor a C++ compiler.
@SuppressWarnings("restricted")
final class Nvrtc {
    private static final Linker LINKER = Linker.nativeLinker();
    private static final AddressLayout STRING =
            ADDRESS.withTargetLayout(MemoryLayout.sequenceLayout(Long.MAX_VALUE, JAVA_BYTE));

    private final SymbolLookup library;
    private final MethodHandle version;
    private final MethodHandle errorString;
    private final MethodHandle createProgram;
    private final MethodHandle compileProgram;
    private final MethodHandle logSize;
    private final MethodHandle log;
    private final MethodHandle cubinSize;
    private final MethodHandle cubin;
    private final MethodHandle destroyProgram;

    /// A compilation that ran: `cubin` is empty when the source is wrong, and `log` then says why.
    record Result(Optional<byte[]> cubin, String log) {}

    private Nvrtc(SymbolLookup library) {
        this.library = library;
        version = function("nvrtcVersion", ADDRESS, ADDRESS);
        errorString = LINKER.downcallHandle(find("nvrtcGetErrorString"), FunctionDescriptor.of(STRING, JAVA_INT));
        createProgram = function("nvrtcCreateProgram", ADDRESS, ADDRESS, ADDRESS, JAVA_INT, ADDRESS, ADDRESS);
        compileProgram = function("nvrtcCompileProgram", ADDRESS, JAVA_INT, ADDRESS);
        logSize = function("nvrtcGetProgramLogSize", ADDRESS, ADDRESS);
        log = function("nvrtcGetProgramLog", ADDRESS, ADDRESS);
        cubinSize = function("nvrtcGetCUBINSize", ADDRESS, ADDRESS);
        cubin = function("nvrtcGetCUBIN", ADDRESS, ADDRESS);
        destroyProgram = function("nvrtcDestroyProgram", ADDRESS);
    }

    /// Opens a `libnvrtc.so.*` for the life of the process.
    static Nvrtc open(Path file) {
        openBuiltins(file);
        try {
            return new Nvrtc(SymbolLookup.libraryLookup(file, Arena.global()));
        } catch (IllegalArgumentException e) {
            throw new IllegalStateException("cannot open NVRTC at " + file, e);
        }
    }

    // NVRTC opens this one by its bare name in the middle of a compilation; without it every compilation fails with 7
    // (NVRTC_ERROR_BUILTIN_OPERATION_FAILURE). Opened by path first, the loader finds it by that name.
    private static void openBuiltins(Path file) {
        Path folder = file.toAbsolutePath().getParent();
        if (folder == null) {
            return;
        }
        try (DirectoryStream<Path> builtins = Files.newDirectoryStream(folder, "libnvrtc-builtins.so.*")) {
            for (Path library : builtins) {
                SymbolLookup.libraryLookup(library, Arena.global());
            }
        } catch (IOException | IllegalArgumentException e) {
            throw new IllegalStateException("cannot open the built-in functions of NVRTC beside " + file, e);
        }
    }

    private MemorySegment find(String name) {
        return library.find(name).orElseThrow(() -> new IllegalStateException("NVRTC has no function " + name));
    }

    private MethodHandle function(String name, MemoryLayout... arguments) {
        return LINKER.downcallHandle(find(name), FunctionDescriptor.of(JAVA_INT, arguments));
    }

    /// Such as `13.3`.
    String version() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment major = arena.allocate(JAVA_INT);
            MemorySegment minor = arena.allocate(JAVA_INT);
            check("nvrtcVersion", (int) version.invokeExact(major, minor));
            return major.get(JAVA_INT, 0) + "." + minor.get(JAVA_INT, 0);
        } catch (Throwable t) {
            throw rethrown(t);
        }
    }

    /// Compiles `source`, called `name` in messages; `headers` holds what its `#include "..."` lines may name.
    Result compile(String name, String source, Map<String, String> headers, List<String> options) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment handle = arena.allocate(ADDRESS);
            check("nvrtcCreateProgram", (int) createProgram.invokeExact(
                    handle,
                    arena.allocateFrom(source),
                    arena.allocateFrom(name),
                    headers.size(),
                    strings(arena, List.copyOf(headers.values())),
                    strings(arena, List.copyOf(headers.keySet()))));
            MemorySegment program = handle.get(ADDRESS, 0);
            try {
                int code = (int) compileProgram.invokeExact(program, options.size(), strings(arena, options));
                String text = string(bytes(arena, program, "nvrtcGetProgramLog", logSize, log));
                if (code != 0) {
                    return new Result(Optional.empty(), text.isBlank() ? message(code) : text);
                }
                return new Result(Optional.of(bytes(arena, program, "nvrtcGetCUBIN", cubinSize, cubin)), text);
            } finally {
                check("nvrtcDestroyProgram", (int) destroyProgram.invokeExact(handle));
            }
        } catch (Throwable t) {
            throw rethrown(t);
        }
    }

    private static MemorySegment strings(Arena arena, List<String> values) {
        MemorySegment array = arena.allocate(ADDRESS, Math.max(1, values.size()));
        for (int i = 0; i < values.size(); i++) {
            array.setAtIndex(ADDRESS, i, arena.allocateFrom(values.get(i)));
        }
        return array;
    }

    private byte[] bytes(Arena arena, MemorySegment program, String name, MethodHandle size, MethodHandle get)
            throws Throwable {
        MemorySegment count = arena.allocate(JAVA_LONG);
        check(name + "Size", (int) size.invokeExact(program, count));
        MemorySegment buffer = arena.allocate(Math.max(1, count.get(JAVA_LONG, 0)));
        check(name, (int) get.invokeExact(program, buffer));
        return buffer.asSlice(0, count.get(JAVA_LONG, 0)).toArray(JAVA_BYTE);
    }

    private static String string(byte[] zeroTerminated) {
        return MemorySegment.ofArray(zeroTerminated).getString(0);
    }

    private void check(String function, int code) {
        if (code != 0) {
            throw new IllegalStateException(function + ": " + message(code));
        }
    }

    private String message(int code) {
        try {
            return ((MemorySegment) errorString.invokeExact(code)).getString(0) + " (" + code + ")";
        } catch (Throwable t) {
            throw rethrown(t);
        }
    }

    private static RuntimeException rethrown(Throwable t) {
        return switch (t) {
            case RuntimeException e -> e;
            case Error e -> throw e;
            default -> new IllegalStateException(t);
        };
    }
}
