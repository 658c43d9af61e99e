package io.jacquard.benchmarks.jmh;

import io.jacquard.benchmarks.suite.Row;
import io.jacquard.benchmarks.suite.Rows;
import io.jacquard.nn.ModelSize;
import org.openjdk.jmh.annotations.Param;

/// Linear layers of a model, with what they have of bias and GELU, and their gradients.
public class MatmulBenchmark extends TableBenchmark {
    @Param({"char-gpt", "gpt2-124m", "llama-1b"})
    private String model = "";

    @Param({"qkv", "attention out", "up", "down", "head"})
    private String layer = "";

    @Param({"forward", "input gradient", "weight gradient"})
    private String form = "";

    @Param("1024")
    private int tokens;

    @Param({"f32", "bf16"})
    private String dtype = "";

    @Override
    protected Row row() {
        return Rows.matmul(ModelSize.of(model), layer, tokens, form, dtype);
    }
}
