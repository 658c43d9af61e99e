package io.jacquard.tensor.spi;

/// A copy to host memory that was asked for and may not be done yet.
public interface Readback {
    /// One that was done before the call returned.
    Readback DONE = new Readback() {
        @Override
        public boolean isDone() {
            return true;
        }

        @Override
        public void await() {}
    };

    /// Whether [#await] would return at once. Waits for nothing.
    boolean isDone();

    /// Waits for this copy, not for what was asked after it. Again does nothing.
    void await();
}
