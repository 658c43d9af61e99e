package io.jacquard.benchmarks.peers;

/// A model in training.
interface PeerSteps extends AutoCloseable {
    long parameters();

    /// One step; returns its loss.
    double step();

    @Override
    void close();
}
