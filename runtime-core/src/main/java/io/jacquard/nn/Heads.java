package io.jacquard.nn;

import io.jacquard.ops.Ops;
import io.jacquard.tensor.Tensor;

/// The attention heads of one rank.
///
/// @param query query heads here
/// @param keyValue key/value heads here
/// @param dim width of a head
record Heads(int query, int keyValue, int dim) {
    /// The share of this rank: key/value heads, each with its queries.
    static Heads of(DecoderConfig c, Partition part) {
        int kv = part.share("key/value heads", c.kvHeads()).length();
        return new Heads(kv * (c.heads() / c.kvHeads()), kv, c.headDim());
    }

    /// Causal attention of block `layer`, as [Ops#attention].
    Tensor attention(Tensor packed, Pass pass, int layer) {
        KeyValueCache cache = pass.cache();
        return cache == null ? Ops.attention(packed, query, keyValue) : cache.attention(packed, layer);
    }
}
