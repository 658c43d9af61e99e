package io.jacquard.benchmarks.jmh;

import io.jacquard.benchmarks.suite.Row;
import io.jacquard.benchmarks.suite.Rows;
import io.jacquard.nn.ModelSize;
import org.openjdk.jmh.annotations.Param;

/// Cross entropy over a vocabulary, with its gradient in place of the logits.
public class CrossEntropyBenchmark extends TableBenchmark {
    @Param({"char-gpt", "gpt2-124m", "llama-1b"})
    private String model = "";

    @Param("256")
    private int tokens;

    @Param({"f32", "bf16"})
    private String dtype = "";

    @Override
    protected Row row() {
        return Rows.crossEntropy(tokens, ModelSize.of(model), dtype);
    }
}
