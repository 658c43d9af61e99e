package io.jacquard.cli;

import io.jacquard.tensor.Debug;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/// How closely to look at kernels.
final class DebugOptions {
    @Option(
            names = "--debug",
            paramLabel = "N",
            description = "Time each kernel: 1 sums up after each step, 2 prints each call with shapes, microseconds,"
                    + " rate and fraction of the measured roofline, 3 each launch on a GPU, too. Runs without a graph.")
    private @Nullable Integer level;

    @Option(
            names = "--sync",
            description = "Wait for each launch, so that an error names the one that failed. Runs without a graph.")
    private boolean sync;

    /// Sets what each session reads that this JVM opens from now on; what was set for the JVM stays without
    /// options.
    void apply(CommandLine command) {
        if (level != null) {
            if (level < 0 || level > Debug.MOST) {
                throw new ParameterException(command, "--debug: " + level + " is not one of 0, 1, 2, 3");
            }
            System.setProperty(Debug.LEVEL, level.toString());
        }
        if (sync) {
            System.setProperty(Debug.SYNC, "true");
        }
    }
}
