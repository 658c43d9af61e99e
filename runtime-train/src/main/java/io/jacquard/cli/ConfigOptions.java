package io.jacquard.cli;

import io.jacquard.train.ConfigReader;
import io.jacquard.train.TrainConfig;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/// The overrides of a configuration, and its errors as errors of usage.
final class ConfigOptions {
    @Option(
            names = {"-s", "--set"},
            paramLabel = "KEY=VALUE",
            description =
                    "Override one key, such as model.width=256; repeatable. docs/configuration.md lists all keys.")
    private List<String> overrides = new ArrayList<>();

    @Option(
            names = "--device",
            paramLabel = "DEVICE",
            description = "Device to compute on, such as cpu or cuda:0. Short for --set device=DEVICE.")
    private @Nullable String device;

    @Mixin
    private PrecisionOption precision = new PrecisionOption();

    /// Makes the configuration; `settings` holds what came before the overrides.
    TrainConfig read(CommandLine command, Source settings) throws Exception {
        try {
            ConfigReader reader = settings.reader();
            if (device != null) {
                reader.set("device", device, "--device");
            }
            precision.apply(reader);
            overrides.forEach(reader::set);
            return reader.read();
        } catch (IllegalArgumentException e) {
            throw new ParameterException(command, e.getMessage() == null ? e.toString() : e.getMessage(), e);
        }
    }

    /// Where the other settings come from.
    @FunctionalInterface
    interface Source {
        ConfigReader reader() throws Exception;
    }
}
