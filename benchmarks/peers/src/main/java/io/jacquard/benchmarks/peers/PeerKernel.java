package io.jacquard.benchmarks.peers;

import java.util.List;

/// One way of one library to do a row.
interface PeerKernel extends AutoCloseable {
    /// What it computes.
    KernelRow row();

    /// Makes again what runs overwrite.
    void reset();

    /// Computes; outputs of the run before are given back.
    void run();

    /// Those of the last run.
    List<Floats> outputs();

    @Override
    void close();
}
