package io.jacquard.benchmarks.peers;

import org.jspecify.annotations.Nullable;

/// What decoders are made of, in the terms of one library whose tensors are `T`.
interface Layers<T> {
    /// `x weightᵀ + bias`
    T linear(T x, T weight, @Nullable T bias);

    T add(T a, T b);

    T layerNorm(T x, T weight, T bias);

    T rmsNorm(T x, T weight);

    /// The library's own GELU, of whichever kind.
    T gelu(T x);

    /// Of gate beside value.
    T swiglu(T x);

    /// Rows `ids` of the table.
    T embedding(T table, T ids);

    /// Causal, of `[batch, heads, time, headDim]`; keys and values may have fewer heads.
    T attention(T query, T key, T value);

    /// `x cos + (-right, left) sin`, left and right halves of the last dimension.
    T rotate(T x, T cos, T sin);

    /// The mean cross entropy of `[rows, vocabulary]` logits.
    T loss(T logits, T labels);

    /// `count` from `from` on, of one dimension.
    T narrow(T x, int dim, long from, long count);

    T reshape(T x, long... dims);

    T swap(T x, int dim, int other);
}
