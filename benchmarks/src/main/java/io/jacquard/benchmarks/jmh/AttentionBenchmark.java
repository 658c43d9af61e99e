package io.jacquard.benchmarks.jmh;

import io.jacquard.benchmarks.suite.Row;
import io.jacquard.benchmarks.suite.Rows;
import io.jacquard.nn.ModelSize;
import org.openjdk.jmh.annotations.Param;

/// Causal attention of one block of a model.
public class AttentionBenchmark extends TableBenchmark {
    @Param({"char-gpt", "gpt2-124m", "llama-1b"})
    private String model = "";

    @Param("4")
    private int batch;

    @Param("256")
    private int time;

    @Param({"forward", "backward"})
    private String direction = "";

    @Param({"f32", "bf16"})
    private String dtype = "";

    @Override
    protected Row row() {
        return Rows.attention(ModelSize.of(model), batch, time, direction.equals("backward"), dtype);
    }
}
