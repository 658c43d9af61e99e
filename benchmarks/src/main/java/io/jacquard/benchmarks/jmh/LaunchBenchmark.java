package io.jacquard.benchmarks.jmh;

import io.jacquard.benchmarks.suite.Row;
import io.jacquard.benchmarks.suite.Rows;
import org.openjdk.jmh.annotations.Param;

/// What a launch itself costs: a kernel with nothing to do, by a call of Java alone (`copy`) and by one into a native
/// library (`matmul`, on the CPU oneDNN through the Foreign Function & Memory API); on a GPU both are launches of the
/// driver.
public class LaunchBenchmark extends TableBenchmark {
    @Param({"copy", "matmul"})
    private String function = "";

    @Override
    protected Row row() {
        return Rows.launch(function);
    }
}
