package io.jacquard.parallel;

import io.jacquard.data.Batches;
import io.jacquard.group.Group;

/// What one replica of a model computes of a step of `microBatches` micro-batches with `rows` sequences each: whole
/// micro-batches where the replicas divide them, otherwise some sequences of each. Either way it is the step of one
/// rank, sequence by sequence, and so are the masks of dropout.
///
/// @param rows sequences that this replica computes at once
/// @param microBatches how often it does so in a step
/// @param replica which one this is
/// @param replicas how many there are
/// @param isWhole whether it takes whole micro-batches
public record BatchShare(int rows, int microBatches, int replica, int replicas, boolean isWhole) {
    /// The share of this rank of `data`.
    ///
    /// @throws IllegalArgumentException if the ranks divide neither
    public static BatchShare of(int rows, int microBatches, Group data) {
        int n = data.size();
        if (microBatches % n == 0) {
            return new BatchShare(rows, microBatches / n, data.rank(), n, true);
        }
        if (rows % n == 0) {
            return new BatchShare(rows / n, microBatches, data.rank(), n, false);
        }
        throw new IllegalArgumentException("data parallel: " + n + " replicas divide neither the " + microBatches
                + " micro-batches of a step nor the " + rows
                + " sequences of each; expected a multiple of " + n + " for one of them");
    }

    /// Where this replica reads.
    public Batches.Layout layout() {
        return new Batches.Layout(rows, microBatches, replica, replicas);
    }

    /// The number in the whole step of this replica's micro-batch `m`.
    public int number(int m) {
        return isWhole ? m * replicas + replica : m;
    }

    /// How many sequences of the same micro-batch come before this replica's.
    public int sequencesBefore() {
        return isWhole ? 0 : replica * rows;
    }
}
