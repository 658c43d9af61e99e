package io.jacquard.benchmarks.jmh;

import io.jacquard.benchmarks.suite.Row;
import io.jacquard.benchmarks.suite.Rows;
import io.jacquard.nn.ModelSize;
import org.openjdk.jmh.annotations.Param;

/// Activations over the hidden layer of a model.
public class ActivationBenchmark extends TableBenchmark {
    @Param({"gelu", "swiglu"})
    private String function = "";

    @Param({"forward", "backward"})
    private String direction = "";

    @Param({"gpt2-124m", "llama-1b"})
    private String model = "";

    @Param("1024")
    private int tokens;

    @Param({"f32", "bf16"})
    private String dtype = "";

    @Override
    protected Row row() {
        return Rows.activation(
                function,
                direction.equals("backward"),
                tokens,
                ModelSize.of(model).config().hidden(),
                dtype);
    }
}
