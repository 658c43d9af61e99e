package io.jacquard.tensor.spi;

/// Recorded launches, replayed as often as wanted at the addresses of the recording.
public interface Graph extends AutoCloseable {
    void replay();

    @Override
    void close();
}
