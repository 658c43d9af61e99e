package io.jacquard.cli;

import io.jacquard.train.ConfigReader;
import io.jacquard.train.ConfigWriter;
import io.jacquard.train.TrainConfig;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
        name = "train",
        mixinStandardHelpOptions = true,
        description = "Train a model on prepared data.",
        footer = {
            "",
            "Example:",
            "  jacquard prepare book.txt --out data/book --vocabulary 4096",
            "  jacquard train --data data/book --run runs/book --set training.steps=2000",
            "Ctrl-C saves; 'jacquard resume runs/book' goes on."
        })
final class TrainCommand implements Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

    @Option(
            names = {"-c", "--config"},
            paramLabel = "FILE",
            description = "YAML file with the configuration.")
    private @Nullable Path file;

    @Option(names = "--data", paramLabel = "DIR", description = "Prepared data. Short for --set data.directory=DIR.")
    private @Nullable Path data;

    @Option(
            names = "--run",
            paramLabel = "DIR",
            description = "Directory to write the run to. Short for --set run=DIR.")
    private @Nullable Path run;

    @Mixin
    private ConfigOptions options = new ConfigOptions();

    @Mixin
    private RankOptions ranks = new RankOptions();

    @Mixin
    private SuperviseOptions supervision = new SuperviseOptions();

    @Mixin
    private DebugOptions debugging = new DebugOptions();

    @Option(names = "--resume", description = "Continue the run if its directory holds a saved state.")
    private boolean resume;

    @Option(names = "--dry-run", description = "Print the effective configuration and stop.")
    private boolean dryRun;

    @Option(names = "--json", description = "Print the outcome as JSON.")
    private boolean json;

    @Override
    public Integer call() throws Exception {
        var command = Objects.requireNonNull(spec).commandLine();
        debugging.apply(command);
        TrainConfig config = options.read(command, this::reader);
        if (dryRun) {
            command.getOut().print(ConfigWriter.yaml(config));
            command.getOut().flush();
            return 0;
        }
        if (supervision.areGiven(command)) {
            List<String> arguments = SuperviseOptions.without(
                    command.getParent().getParseResult().originalArgs());
            return new Supervisor(
                            config.run(), supervision.prefix(), arguments, supervision.restarts(), command.getErr())
                    .supervise();
        }
        TrainRun.run(command, config, ranks, resume, json);
        return 0;
    }

    private ConfigReader reader() throws Exception {
        ConfigReader reader = new ConfigReader();
        if (file != null) {
            reader.file(file);
        }
        if (data != null) {
            reader.set("data.directory", data, "--data");
        }
        if (run != null) {
            reader.set("run", run, "--run");
        }
        return reader;
    }
}
