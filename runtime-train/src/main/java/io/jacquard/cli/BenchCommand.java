package io.jacquard.cli;

import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Unmatched;

/// Stands for what the launcher does by itself, so that the help knows it.
@Command(
        name = "bench",
        description = "Time kernels and training steps beside PyTorch, ND4J and DJL, in turns; compare results."
                + " bench --help has the options.",
        footer = {"", "Example:", "  jacquard bench --filter attention"})
final class BenchCommand implements Callable<Integer> {
    @Unmatched
    private @Nullable List<String> arguments;

    @Override
    public Integer call() {
        throw new IllegalStateException("bench: this is not the launcher of a checkout, which builds the benchmarks;"
                + " run ./jacquard bench in the sources"
                + (arguments == null || arguments.isEmpty() ? "" : " with " + String.join(" ", arguments)));
    }
}
