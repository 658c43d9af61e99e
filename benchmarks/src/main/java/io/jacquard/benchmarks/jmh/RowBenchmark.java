package io.jacquard.benchmarks.jmh;

import io.jacquard.benchmarks.suite.Row;
import org.openjdk.jmh.annotations.Param;

/// Any row, given as the JSON that records have as its `spec`: what `bench` runs.
public class RowBenchmark extends TableBenchmark {
    @Param("{\"kind\": \"activation\", \"function\": \"gelu\", \"rows\": 1024, \"width\": 3072, \"dtype\": \"f32\"}")
    private String row = "";

    @Override
    protected Row row() {
        return Row.parse(row);
    }
}
