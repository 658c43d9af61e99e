package io.jacquard.nn;

import io.jacquard.ops.Ops;
import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// How one forward pass runs.
///
/// @param recompute keep only block boundaries and run each block again in backward
/// @param seed key of the dropout masks
/// @param counters I32 {step, micro-batch} on the device, the rest of the masks' counter; null: no dropout
public record Pass(boolean recompute, long seed, @Nullable Tensor counters) {
    /// No dropout, nothing recomputed: evaluation, and training of a model without dropout. Gradients flow all the
    /// same; whether they are recorded is the scope's business.
    public static final Pass EVALUATION = new Pass(false, 0, null);

    Tensor dropout(Tensor x, float p, int site) {
        return counters == null || p == 0f ? x : Ops.dropout(x, p, seed, counters, site);
    }
}
