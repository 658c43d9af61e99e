package io.jacquard.benchmarks.jmh;

import io.jacquard.benchmarks.suite.Row;
import io.jacquard.benchmarks.suite.Rows;
import org.openjdk.jmh.annotations.Param;

/// Clipping by the global norm, AdamW, and the rounded copy of the weights.
public class OptimizerBenchmark extends TableBenchmark {
    @Param({"1048576", "16777216"})
    private int weights;

    @Param({"f32", "bf16"})
    private String gradients = "";

    @Param({"f32", "bf16"})
    private String dtype = "";

    @Override
    protected Row row() {
        return Rows.optimizer(weights, gradients, dtype);
    }
}
