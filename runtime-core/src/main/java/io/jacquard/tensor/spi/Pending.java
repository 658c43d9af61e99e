package io.jacquard.tensor.spi;

/// Something that a device was asked for and that may not be done yet.
public interface Pending {
    /// What was done before the call returned.
    Pending DONE = new Pending() {
        @Override
        public boolean isDone() {
            return true;
        }

        @Override
        public void await() {}
    };

    /// Whether [#await] would return at once. Waits for nothing.
    boolean isDone();

    /// Waits for this, not for what was asked after it. Once is enough; again does nothing.
    void await();
}
