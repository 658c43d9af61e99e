package io.jacquard.nn;

import io.jacquard.ops.Ops;
import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// How one forward pass runs.
///
/// @param recompute keep only block boundaries and run each block again in backward
/// @param seed key of the dropout masks
/// @param counters I32 {step, micro-batch} on the device, the rest of the masks' counter; null: no dropout
/// @param cache what the model has seen before these tokens; null: they are the beginning
public record Pass(
        boolean recompute,
        long seed,
        @Nullable Tensor counters,
        @Nullable KeyValueCache cache) {
    /// No dropout, nothing recomputed, from the beginning: evaluation, and training of a model without dropout.
    /// Whether gradients are recorded is the scope's business.
    public static final Pass PLAIN = new Pass(false, 0, null);

    /// A pass over texts from their beginning.
    public Pass(boolean recompute, long seed, @Nullable Tensor counters) {
        this(recompute, seed, counters, null);
    }

    Tensor dropout(Tensor x, float p, int site) {
        return counters == null || p == 0f ? x : Ops.dropout(x, p, seed, counters, site);
    }

    /// The position of the first token.
    int first() {
        return cache == null ? 0 : cache.length();
    }

    /// Causal attention of block `layer`, as [Ops#attention].
    Tensor attention(Tensor qkv, DecoderConfig config, int layer) {
        return cache == null ? Ops.attention(qkv, config.heads(), config.kvHeads()) : cache.attention(qkv, layer);
    }
}
