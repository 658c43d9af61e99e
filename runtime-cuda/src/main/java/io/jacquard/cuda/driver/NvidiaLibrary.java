package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.kernels.LibraryPlaces;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// A library of NVIDIA's that was looked for: `path` is what was opened, or null; `tried` is each place, in order, and
/// what was wrong with the files that would not open.
///
/// Opened by its full path, a library satisfies whoever asks the loader for its bare name afterwards, as the natives
/// of the JavaCPP presets do. Nothing of `org.bytedeco.cuda.global` may be touched before that: its classes fail for
/// good when their library is missing.
public record NvidiaLibrary(String name, @Nullable String path, List<String> tried) {
    private static final int RTLD_LAZY = 1;
    private static final int RTLD_NOLOAD = 4;
    private static final int RTLD_GLOBAL = 0x100;
    private static final MethodHandle DLOPEN = function("dlopen", FunctionDescriptor.of(JAVA_LONG, ADDRESS, JAVA_INT));
    private static final MethodHandle DLERROR = function("dlerror", FunctionDescriptor.of(JAVA_LONG));

    private static final Map<String, NvidiaLibrary> LOOKED_FOR = new LinkedHashMap<>();

    /// Looks for `name`, such as `libcublasLt.so.13`, and opens it for the life of the process. The second time
    /// returns what the first found.
    public static synchronized NvidiaLibrary open(String name) {
        return LOOKED_FOR.computeIfAbsent(name, n -> open(n, LibraryPlaces.ofThisProcess()));
    }

    /// What was looked for so far.
    public static synchronized List<NvidiaLibrary> lookedFor() {
        return List.copyOf(LOOKED_FOR.values());
    }

    /// Whether it was found and opened.
    public boolean isOpen() {
        return path != null;
    }

    static NvidiaLibrary open(String name, LibraryPlaces places) {
        if (dlopen(name, RTLD_LAZY | RTLD_GLOBAL | RTLD_NOLOAD) == null) {
            // never a second copy beside the one that somebody uses
            return new NvidiaLibrary(name, mapped(name), List.of());
        }
        List<String> tried = new ArrayList<>();
        for (Path folder : places.folders()) {
            Path file = folder.resolve(name);
            if (!Files.isRegularFile(file)) {
                tried.add(folder.toString());
                continue;
            }
            String problem = dlopen(file.toString(), RTLD_LAZY | RTLD_GLOBAL);
            if (problem == null) {
                return new NvidiaLibrary(name, file.toString(), List.copyOf(tried));
            }
            tried.add(file + " (" + problem + ")");
        }
        if (dlopen(name, RTLD_LAZY | RTLD_GLOBAL) == null) {
            return new NvidiaLibrary(name, mapped(name), List.copyOf(tried));
        }
        tried.add("the loader's own search");
        return new NvidiaLibrary(name, null, List.copyOf(tried));
    }

    /// The file that the loader took for a bare name; the name itself where that is not to be found out.
    private static String mapped(String name) {
        try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
            return maps.filter(line -> line.contains("/" + name))
                    .map(line -> line.substring(line.indexOf('/')))
                    .findFirst()
                    .orElse(name);
        } catch (IOException e) {
            return name;
        }
    }

    /// What the loader says, or null when the library is open now.
    private static @Nullable String dlopen(String file, int flags) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocateFrom(file);
            if ((long) DLOPEN.invokeExact(text, flags) != 0) {
                return null;
            }
            String problem = DriverLibrary.text((long) DLERROR.invokeExact());
            return problem == null ? "not open" : problem;
        } catch (Throwable t) {
            throw new IllegalStateException("cuda: the call of dlopen failed in Java", t);
        }
    }

    @SuppressWarnings("restricted")
    private static MethodHandle function(String name, FunctionDescriptor type) {
        Linker linker = Linker.nativeLinker();
        return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), type);
    }
}
