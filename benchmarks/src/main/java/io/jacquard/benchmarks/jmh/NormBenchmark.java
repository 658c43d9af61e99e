package io.jacquard.benchmarks.jmh;

import io.jacquard.benchmarks.suite.Row;
import io.jacquard.benchmarks.suite.Rows;
import io.jacquard.nn.ModelSize;
import org.openjdk.jmh.annotations.Param;

/// Normalisations over the width of a model; `add + forward` sums the residual in the same pass.
public class NormBenchmark extends TableBenchmark {
    @Param({"layer norm", "rms norm"})
    private String function = "";

    @Param({"forward", "add + forward", "backward"})
    private String form = "";

    @Param({"gpt2-124m", "llama-1b"})
    private String model = "";

    @Param("1024")
    private int tokens;

    @Param({"f32", "bf16"})
    private String dtype = "";

    @Override
    protected Row row() {
        return Rows.norm(function, form, tokens, ModelSize.of(model).config().width(), dtype);
    }
}
