package io.jacquard.check;

import java.util.List;
import java.util.Locale;

/// What `gpu-check` looks at, in this order. The seconds are limits; their sum stays below nine minutes.
enum Section {
    ENVIRONMENT(30, "device, driver, libraries", EnvironmentSection.class),
    CONTRACT(150, "every kernel against double precision", SuiteSection.class),
    PROBES(30, "every PTX wrapper against the emulator's digests", ProbesSection.class),
    LIBRARY(40, "matrix products by cuBLASLt against double precision", LibrarySection.class),
    EMULATOR(70, "kernels on random inputs against the emulator", EmulatorSection.class),
    CURVE(70, "loss curve of the quickstart model against the CPU's", CurveSection.class),
    TRAINING(60, "graph, bf16, recompute, resume", SuiteSection.class),
    GROUPS(30, "groups over NCCL: one rank, and two that share the GPU", GroupsSection.class),
    SANITIZER(50, "a short run under compute-sanitizer", SanitizedSection.class);

    final int seconds;
    final String what;
    final Class<?> main;

    Section(int seconds, String what, Class<?> main) {
        this.seconds = seconds;
        this.what = what;
        this.main = main;
    }

    String id() {
        return name().toLowerCase(Locale.ROOT);
    }

    /// The test classes of a section that consists of some.
    List<String> suites() {
        return switch (this) {
            case CONTRACT -> List.of("io.jacquard.check.DeviceContract");
            case LIBRARY -> List.of("io.jacquard.check.LibraryContract");
            case TRAINING -> List.of("io.jacquard.cuda.CudaTrainingTest", "io.jacquard.cuda.CudaTrainerTest");
            case GROUPS -> List.of("io.jacquard.nccl.NcclOneRankTest", "io.jacquard.nccl.NcclPairTest");
            default -> List.of();
        };
    }

    /// Who multiplies matrices: left to measurement, our own kernels would be checked only where they are faster.
    List<String> flags() {
        return switch (this) {
            case CONTRACT, EMULATOR -> List.of("-Djacquard.cuda.matmul=own");
            case LIBRARY -> List.of("-Djacquard.cuda.matmul=cublaslt");
            default -> List.of();
        };
    }
}
