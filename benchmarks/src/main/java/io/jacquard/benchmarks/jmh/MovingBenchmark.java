package io.jacquard.benchmarks.jmh;

import io.jacquard.benchmarks.suite.Row;
import io.jacquard.benchmarks.suite.Rows;
import io.jacquard.nn.ModelSize;
import org.openjdk.jmh.annotations.Param;

/// Kernels that only move: a copy, the permute to heads, rotary positions.
public class MovingBenchmark extends TableBenchmark {
    @Param({"copy", "permute", "rope"})
    private String function = "";

    @Param({"gpt2-124m", "llama-1b"})
    private String model = "";

    @Param("4")
    private int batch;

    @Param("256")
    private int time;

    @Param({"f32", "bf16"})
    private String dtype = "";

    @Override
    protected Row row() {
        return Rows.moving(function, batch, time, ModelSize.of(model), dtype);
    }
}
