package io.jacquard.cli;

import io.jacquard.nn.Precision;
import io.jacquard.ops.Recipe;
import io.jacquard.tensor.DType;
import io.jacquard.train.LoadedModel;
import io.jacquard.train.TrainConfig;
import java.io.IOException;
import java.nio.file.Path;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Which model to use, and where.
final class ModelOptions {
    @Parameters(
            paramLabel = "MODEL",
            description = "Directory of a run (its newest checkpoint is used) or of a model with config.json,"
                    + " model.safetensors and tokenizer.json.")
    private Path model = Path.of("");

    @Option(
            names = "--device",
            paramLabel = "DEVICE",
            defaultValue = "cpu",
            description = "Device to compute on (default: ${DEFAULT-VALUE}).")
    private String device = "cpu";

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            defaultValue = "f32",
            description = "Type of the weights, f32 or bf16 (default: ${DEFAULT-VALUE}).")
    private TrainConfig.Precision dtype = TrainConfig.Precision.F32;

    @Option(
            names = "--int4",
            description = "Keep the four-bit weights of a quantized model as they are: a fraction of the memory.")
    private boolean int4;

    LoadedModel open(Terminal terminal) throws IOException {
        DType type = dtype.dtype();
        Precision precision = int4 ? new Precision(Recipe.INT4_GROUP, 0) : Precision.DTYPE;
        return LoadedModel.open(model, device, type, precision, terminal::line);
    }
}
