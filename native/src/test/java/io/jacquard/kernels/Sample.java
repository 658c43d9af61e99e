package io.jacquard.kernels;

import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/// Small kernels to compile, and the compiler that Maven unpacked.
final class Sample {
    static final String ADD = """
            #include "math.cuh"
            // add: y = x + 1
            // Bytes: 8 n
            // Operations: n
            // Roofline: memory
            // Tile: 64 threads
            extern "C" __global__ void add(float* y, const float* x) { y[threadIdx.x] = next(x[threadIdx.x]); }
            """;
    static final String MATH = """
            #include "constants.cuh"
            __device__ float next(float x) { return x + ONE; }
            """;
    static final String CONSTANTS = "#define ONE 1.f\n";

    private Sample() {}

    static Path library() {
        return Path.of(Objects.requireNonNull(System.getProperty("jacquard.nvrtc"), "run by Maven, which names it"));
    }

    static KernelSources sources(Map<String, String> families) {
        return new KernelSources(
                new TreeMap<>(families),
                new TreeMap<>(Map.of("math.cuh", MATH, "constants.cuh", CONSTANTS, "other.cuh", "int unused;\n")));
    }

    static KernelSources sources() {
        return sources(Map.of("sum", ADD));
    }
}
