package io.jacquard.mpi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.jacquard.line.NativeEnvironment;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// Which library of MPI is opened, and how.
///
/// It must be the launcher's own: with another one every process would be rank 0 of 1, and happy.
@SuppressWarnings("restricted")
record LibraryFile(String name, SymbolLookup symbols) {
    /// Names the library to open: a file, or a name that the system's loader finds.
    static final String VARIABLE = "JACQUARD_MPI_LIBRARY";

    private static final int RTLD_NOW = 2;
    private static final int RTLD_GLOBAL = 0x100;
    private static final Linker LINKER = Linker.nativeLinker();

    /// What to try, by the launcher whose variables are there.
    static List<String> candidates(Map<String, String> environment) {
        String named = environment.getOrDefault(VARIABLE, "");
        if (!named.isEmpty()) {
            return List.of(named);
        }
        if (environment.containsKey("OMPI_COMM_WORLD_SIZE") || environment.containsKey("PMIX_RANK")) {
            return List.of("libmpi.so.40");
        }
        if (environment.containsKey("PMI_RANK")) {
            return List.of("libmpich.so.12", "libmpi.so.12", "libmpi_abi.so.1");
        }
        return List.of("libmpi_abi.so.1", "libmpich.so.12", "libmpi.so.12", "libmpi.so.40");
    }

    static LibraryFile open(List<String> candidates) {
        NativeEnvironment.leaveSignalsToTheJvm();
        List<String> refusals = new ArrayList<>();
        for (String name : candidates) {
            String refusal = dlopen(name);
            if (refusal.isEmpty()) {
                return new LibraryFile(name, SymbolLookup.libraryLookup(name, Arena.global()));
            }
            refusals.add(refusal);
        }
        throw new IllegalStateException("mpi: no library: " + String.join("; ", refusals)
                + "; install Open MPI or MPICH (Debian: libopenmpi3 or libmpich12), or name the file in " + VARIABLE);
    }

    /// For all: plug-ins of some Open MPI builds look for their symbols among the global ones.
    private static String dlopen(String name) {
        MethodHandle open = function("dlopen", FunctionDescriptor.of(ADDRESS, ADDRESS, JAVA_INT));
        MethodHandle error = function("dlerror", FunctionDescriptor.of(ADDRESS));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment handle = (MemorySegment) open.invokeExact(arena.allocateFrom(name), RTLD_NOW | RTLD_GLOBAL);
            if (handle.address() != 0) {
                return "";
            }
            MemorySegment text = (MemorySegment) error.invokeExact();
            return text.address() == 0 ? name : text.reinterpret(4096).getString(0);
        } catch (Throwable t) {
            throw new IllegalStateException("mpi: dlopen of " + name, t);
        }
    }

    private static MethodHandle function(String name, FunctionDescriptor type) {
        return LINKER.downcallHandle(
                LINKER.defaultLookup()
                        .find(name)
                        .orElseThrow(() -> new IllegalStateException("mpi: the C library has no " + name)),
                type);
    }

    /// A function of the library: returns `int`, takes handles and addresses as `J`, numbers as `I`.
    MethodHandle function(String function, String parameters) {
        ValueLayout[] layouts = parameters
                .chars()
                .mapToObj(c -> c == 'J' ? ValueLayout.JAVA_LONG : JAVA_INT)
                .toArray(ValueLayout[]::new);
        return LINKER.downcallHandle(
                symbols.find(function)
                        .orElseThrow(() -> new IllegalStateException("mpi: " + name + " has no " + function)),
                FunctionDescriptor.of(JAVA_INT, layouts));
    }
}
