package io.jacquard.cli;

import io.jacquard.train.TrainConfig;
import io.jacquard.train.Trainer;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
        name = "resume",
        mixinStandardHelpOptions = true,
        description = "Continue a run from its newest undamaged state, to the same bits as if it had never stopped.",
        footer = {
            "",
            "Example:",
            "  jacquard resume runs/book",
            "  jacquard resume runs/book --set training.steps=4000    (train longer)"
        })
final class ResumeCommand implements Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

    @Parameters(paramLabel = "RUN", description = "Directory of the run.")
    private Path run = Path.of("");

    @Mixin
    private ConfigOptions options = new ConfigOptions();

    @Mixin
    private RankOptions ranks = new RankOptions();

    @Mixin
    private DebugOptions debugging = new DebugOptions();

    @Option(names = "--json", description = "Print the outcome as JSON.")
    private boolean json;

    @Override
    public Integer call() throws Exception {
        var command = Objects.requireNonNull(spec).commandLine();
        debugging.apply(command);
        // The directory may have moved since.
        TrainConfig config = options.read(command, () -> Trainer.configOf(run).set("run", run, "RUN"));
        TrainRun.run(command, config, ranks, true, json);
        return 0;
    }
}
