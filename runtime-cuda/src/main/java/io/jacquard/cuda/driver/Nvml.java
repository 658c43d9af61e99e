package io.jacquard.cuda.driver;

import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetHandleByPciBusId_v2;
import static org.bytedeco.cuda.global.nvml.nvmlErrorString;
import static org.bytedeco.cuda.global.nvml.nvmlInit_v2;
import static org.bytedeco.cuda.global.nvml.nvmlSystemGetDriverVersion;

import io.jacquard.tensor.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.bytedeco.cuda.nvml.nvmlDevice_st;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.jspecify.annotations.Nullable;

/// NVIDIA's management library through the JavaCPP preset, initialised once per process and left so: it holds no
/// device.
final class Nvml {
    private static final String LIBRARY = "libnvidia-ml.so.1";
    private static final String RUNTIME = "libcudart.so.13";

    /// What the preset's natives ask the loader for: the class of NVML loads that of the CUDA runtime first.
    private static final List<String> LIBRARIES = List.of(LIBRARY, "libcuda.so.1", RUNTIME);

    private static final int TEXT = 96;

    private static @Nullable Nvml initialised;
    private static @Nullable String problem;

    private final SymbolLookup symbols;

    private Nvml(SymbolLookup symbols) {
        this.symbols = symbols;
    }

    /// A function that answers with a code and, if that is 0, with a number.
    interface Question<T> {
        int ask(T answer);
    }

    /// @throws DeviceException with what is missing
    static synchronized Nvml get() {
        if (initialised == null && problem == null) {
            problem = open();
        }
        if (initialised == null) {
            throw new DeviceException(String.valueOf(problem));
        }
        return initialised;
    }

    @SuppressWarnings("restricted")
    private static @Nullable String open() {
        for (String name : LIBRARIES) {
            if (!NvidiaLibrary.open(name).isOpen()) {
                return name + " was not found"
                        + switch (name) {
                            case LIBRARY ->
                                "; it comes with the driver: in a container ask for its utilities"
                                        + " (NVIDIA_DRIVER_CAPABILITIES=compute,utility)";
                            case RUNTIME ->
                                ", which the binding of NVML needs: pip install 'nvidia-cuda-runtime==13.*', or"
                                        + " cuda-cudart-13-0 of NVIDIA's repository";
                            default -> ", which the binding of NVML needs; it comes with the driver";
                        };
            }
        }
        try {
            int code = nvmlInit_v2();
            if (code != 0) {
                return "NVML does not start: " + words(code);
            }
            String path = String.valueOf(NvidiaLibrary.open(LIBRARY).path());
            initialised = new Nvml(SymbolLookup.libraryLookup(path, Arena.global()));
            return null;
        } catch (LinkageError e) {
            return "NVML's binding does not load: " + e.getMessage();
        }
    }

    /// The device at a place on the bus: NVML counts all devices, whatever `CUDA_VISIBLE_DEVICES` hides or
    /// reorders.
    ///
    /// @throws DeviceException if there is none
    nvmlDevice_st device(String bus) {
        try (Arena arena = Arena.ofConfined()) {
            nvmlDevice_st device = new nvmlDevice_st();
            int code = nvmlDeviceGetHandleByPciBusId_v2(new Text(arena.allocateFrom(bus)), device);
            if (code != 0) {
                throw new DeviceException("NVML has no device at " + bus + ": " + words(code));
            }
            return device;
        }
    }

    /// Of the whole driver, such as `580.95.05`.
    String driverVersion() {
        return text(b -> nvmlSystemGetDriverVersion(b, b.length));
    }

    String text(Question<byte[]> question) {
        byte[] bytes = new byte[TEXT];
        if (question.ask(bytes) != 0) {
            return "unknown";
        }
        int length = 0;
        while (length < TEXT && bytes[length] != 0) {
            length++;
        }
        return new String(bytes, 0, length, StandardCharsets.UTF_8);
    }

    /// Whether the library has a function: calling one that it lacks ends the process.
    boolean has(String function) {
        return symbols.find(function).isPresent();
    }

    /// What a code means, in NVML's words.
    static String words(int code) {
        String text = DriverLibrary.text(nvmlErrorString(code).address());
        return (text == null ? "error" : text) + " (" + code + ")";
    }

    /// A C string in memory that somebody else owns.
    private static final class Text extends BytePointer {
        Text(MemorySegment text) {
            super((Pointer) null);
            address = text.address();
        }
    }
}
