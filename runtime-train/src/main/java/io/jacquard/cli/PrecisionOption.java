package io.jacquard.cli;

import io.jacquard.train.ConfigReader;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/// The precision of a run, dtype or recipe.
final class PrecisionOption {
    @Option(
            names = "--precision",
            paramLabel = "NAME",
            description = "f32 or bf16: that of weights and activations (training.dtype). Or how linear layers multiply"
                    + " (training.precision): fp8-current, fp8-delayed, fp8-rowwise, fp8-block, int8 or int4-qat.")
    private @Nullable String precision;

    /// Sets the key that is meant, if any was given.
    ConfigReader apply(ConfigReader reader) {
        if (precision == null) {
            return reader;
        }
        boolean isDtype = precision.equals("f32") || precision.equals("bf16");
        return reader.set(isDtype ? "training.dtype" : "training.precision", precision, "--precision");
    }
}
