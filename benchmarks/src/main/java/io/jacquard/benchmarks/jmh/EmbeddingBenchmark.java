package io.jacquard.benchmarks.jmh;

import io.jacquard.benchmarks.suite.Row;
import io.jacquard.benchmarks.suite.Rows;
import io.jacquard.nn.ModelSize;
import org.openjdk.jmh.annotations.Param;

/// The gradient of a token table.
public class EmbeddingBenchmark extends TableBenchmark {
    @Param({"char-gpt", "gpt2-124m"})
    private String model = "";

    @Param("1024")
    private int tokens;

    @Param({"f32", "bf16"})
    private String dtype = "";

    @Override
    protected Row row() {
        return Rows.embeddingGradient(tokens, ModelSize.of(model), dtype);
    }
}
