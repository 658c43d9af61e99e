package io.jacquard.line;

import java.lang.foreign.MemorySegment;

/// A rank's line to the others.
///
/// **Thread**: that of the rank.
public interface Line {
    /// This rank, from 0.
    int rank();

    /// Who the ranks are in the whole run.
    Members members();

    /// `all` = the `mine` of every rank, one after the other. Waits for all; begun within an operation of the
    /// [#activity].
    ///
    /// @throws IllegalStateException if the ranks have failed
    void gather(MemorySegment mine, MemorySegment all);

    /// The line of those at some places of this one, ascending, this rank among them. All of these call.
    Line part(int[] places);

    /// What this rank is doing, for its watchdog; the same for all lines of a rank.
    Activity activity();
}
