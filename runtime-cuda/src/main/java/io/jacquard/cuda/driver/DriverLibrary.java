package io.jacquard.cuda.driver;

import io.jacquard.kernels.LibraryPlaces;
import io.jacquard.tensor.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// The driver's library file. A process opens one, at first use, and keeps it.
@SuppressWarnings("restricted")
final class DriverLibrary {
    static final String PROPERTY = "jacquard.cuda.driver";
    static final String VARIABLE = "JACQUARD_CUDA_DRIVER";

    /// In the order in which they are tried: the loader's own search first, then where containers, WSL and
    /// distributions put the file without telling the loader.
    private static final List<String> PLACES = Stream.concat(
                    Stream.of("libcuda.so.1"),
                    LibraryPlaces.DRIVER_FOLDERS.stream().map(folder -> folder + "/libcuda.so.1"))
            .toList();

    private static @Nullable DriverLibrary opened;

    private final String path;
    private final SymbolLookup symbols;

    private DriverLibrary(String path, SymbolLookup symbols) {
        this.path = path;
        this.symbols = symbols;
    }

    /// The library of this process.
    ///
    /// @throws DeviceException with every place that was tried
    static synchronized DriverLibrary get() {
        if (opened == null) {
            opened = open(places(System.getProperty(PROPERTY), System.getenv(VARIABLE)));
        }
        return opened;
    }

    /// Where to look: at the named file alone when one is named.
    static List<String> places(@Nullable String property, @Nullable String variable) {
        if (property != null && !property.isBlank()) {
            return List.of(property);
        }
        return variable != null && !variable.isBlank() ? List.of(variable) : PLACES;
    }

    static DriverLibrary open(List<String> places) {
        List<String> tried = new ArrayList<>();
        for (String place : places) {
            try {
                return new DriverLibrary(place, SymbolLookup.libraryLookup(place, Arena.global()));
            } catch (IllegalArgumentException e) {
                tried.add(place);
            }
        }
        throw new DeviceException("cuda: no NVIDIA driver found; tried " + String.join(", ", tried)
                + "; install the driver (nvidia-smi must work), start the container with its GPU, or name the file by -D"
                + PROPERTY + "=PATH or " + VARIABLE + "; without a GPU train with --device cpu");
    }

    String path() {
        return path;
    }

    /// A function that returns a CUresult.
    MethodHandle function(String name, MemoryLayout... arguments) {
        return optional(name, arguments)
                .orElseThrow(() -> new DeviceException("cuda: " + path + " has no function " + name
                        + "; the driver is older than 12.4: update it, or train with --device cpu"));
    }

    Optional<MethodHandle> optional(String name, MemoryLayout... arguments) {
        return symbols.find(name)
                .map(f -> Linker.nativeLinker()
                        .downcallHandle(f, FunctionDescriptor.of(ValueLayout.JAVA_INT, arguments)));
    }

    /// A function of the emulator that returns an address; absent in a real driver.
    Optional<MethodHandle> addressFunction(String name) {
        return symbols.find(name)
                .map(f -> Linker.nativeLinker().downcallHandle(f, FunctionDescriptor.of(ValueLayout.JAVA_LONG)));
    }

    boolean has(String name) {
        return symbols.find(name).isPresent();
    }

    /// The text at a C string's address, or null at address 0.
    static @Nullable String text(long address) {
        return address == 0
                ? null
                : MemorySegment.ofAddress(address).reinterpret(Long.MAX_VALUE).getString(0);
    }
}
