package io.jacquard.group;

/// What a [FlightRecorder] holds of one operation.
///
/// @param ticket its place among all that the rank has begun, from 1
/// @param among the ranks of its group in words; empty if these are all
/// @param number its place among the collectives of its group, from 1; 0 for a message
/// @param calledAt where it was called from, such as `Step.java:31`; empty if nobody looked
/// @param beganNanos when, since 1970
/// @param endedNanos when, since 1970; 0 if it has not
/// @param waits whether the rank waits for others in it
/// @param captured whether it was recorded into a graph, and did not run
/// @param replay which replay of a graph it belongs to, from 1; 0 if none
public record FlightEntry(
        long ticket,
        String among,
        long number,
        Operation operation,
        String calledAt,
        long beganNanos,
        long endedNanos,
        boolean waits,
        boolean captured,
        int replay) {
    /// Whether it has not ended.
    public boolean isOpen() {
        return endedNanos == 0;
    }

    /// `#21 all-reduce [100000] F32`.
    public String words() {
        return (number == 0 ? "" : "#" + number + " ") + operation;
    }

    /// `#21 all-reduce [100000] F32 among ranks 0, 2 (replay 3)`.
    @Override
    public String toString() {
        return words()
                + (among.isEmpty() ? "" : " among " + among)
                + (captured ? " (captured)" : replay > 0 ? " (replay " + replay + ")" : "");
    }
}
