package io.jacquard.tensor.spi;

/// Recorded launches, replayed as often as wanted at the addresses of the recording.
public interface Graph extends AutoCloseable {
    /// Runs everything that was recorded. The memory of the recording must still be there.
    void replay();

    @Override
    void close();
}
