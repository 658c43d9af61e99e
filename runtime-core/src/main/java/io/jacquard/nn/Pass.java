package io.jacquard.nn;

import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// How one forward pass runs.
///
/// @param recompute keep only block boundaries and run each block again in backward
/// @param seed key of the dropout masks
/// @param counters I32 {step, micro-batch} on the device, the rest of the masks' counter; null: no dropout
/// @param sequencesBefore sequences of the same micro-batch that other ranks hold and that come before those here
/// @param cache what the model has seen before these tokens; null: they are the beginning
public record Pass(
        boolean recompute,
        long seed,
        @Nullable Tensor counters,
        int sequencesBefore,
        @Nullable KeyValueCache cache) {
    /// No dropout, nothing recomputed, from the beginning: evaluation, and training of a model without dropout.
    /// Whether gradients are recorded is the scope's business.
    public static final Pass PLAIN = new Pass(false, 0, null);

    /// A pass over whole micro-batches of texts from their beginning.
    public Pass(boolean recompute, long seed, @Nullable Tensor counters) {
        this(recompute, seed, counters, 0, null);
    }

    /// The position of the first token.
    int first() {
        return cache == null ? 0 : cache.length();
    }
}
