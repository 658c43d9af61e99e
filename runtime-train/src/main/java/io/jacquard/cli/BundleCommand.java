package io.jacquard.cli;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// Stands for what the launcher does by itself, so that the help knows it.
@Command(
        name = "bundle",
        mixinStandardHelpOptions = true,
        description =
                "Pack everything for a GPU server into one file: a Java runtime, kernels, tests, benchmarks. Takes"
                        + " some minutes; needs Maven and g++.",
        footer = {"", "Example:", "  jacquard bundle --output jacquard.tar.xz"})
final class BundleCommand implements Callable<Integer> {
    @Option(names = "--output", paramLabel = "FILE", description = "Where to (default: jacquard-VERSION.tar.xz here).")
    private @Nullable Path output;

    @Override
    public Integer call() {
        throw new IllegalStateException("bundle: this is not the launcher of a checkout, so there is nothing to pack"
                + (output == null ? "" : " into " + output) + "; run ./jacquard bundle in the sources");
    }
}
