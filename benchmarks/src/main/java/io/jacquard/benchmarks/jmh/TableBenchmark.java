package io.jacquard.benchmarks.jmh;

import io.jacquard.benchmarks.suite.Cases;
import io.jacquard.benchmarks.suite.KernelCase;
import io.jacquard.benchmarks.suite.Row;

/// The launches of one row of the table that `bench` goes through.
public abstract class TableBenchmark extends Launches {
    /// Which row.
    protected abstract Row row();

    @Override
    protected KernelCase kernel() {
        return Cases.of(row());
    }

    @Override
    protected boolean flushes() {
        return row().flushes();
    }

    @Override
    protected double allowed() {
        return row().allowed();
    }

    @Override
    protected boolean isLaunch() {
        return row().isLaunch();
    }
}
