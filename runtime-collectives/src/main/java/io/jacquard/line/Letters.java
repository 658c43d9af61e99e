package io.jacquard.line;

import org.jspecify.annotations.Nullable;

/// Carries letters between the watchdogs of the ranks of a run.
///
/// **Thread**: one at a time.
public interface Letters {
    /// The next letter from a rank, if it is there.
    @Nullable
    Letter receive(int from);

    /// Sends, unless an earlier letter to this rank is still under way. Failures and the last word always leave. To
    /// oneself nothing is sent. Does not wait for the receiver.
    ///
    /// @return whether an earlier one was not in the way
    boolean send(int to, Letter letter);

    /// Whether everything sent to a rank has left.
    boolean sent(int to);
}
