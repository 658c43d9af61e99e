package io.jacquard.group;

/// A collective that was started.
@FunctionalInterface
public interface Pending {
    /// One that is done.
    Pending DONE = () -> {};

    /// What this rank launches from here on sees the result. Tensors of the collective must live, and stay as they
    /// are, until then. The second time does nothing.
    void join();
}
