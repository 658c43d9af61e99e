package io.jacquard.nn;

import io.jacquard.ops.Ops;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;

/// The keys and values of the positions that a model has seen of one text, so that the next token costs one position
/// instead of all: made by [Decoder#cache] for [Decoder#next].
///
/// **Memory**: `8 * layers * context * kvHeads * headDim` bytes in the scope it was made in, divided by the tensor
/// ranks. F32 whatever the weights
/// are: attention reads each of them once per token and would otherwise round its scores.
public final class KeyValueCache {
    private final DecoderConfig config;
    private final Heads heads;
    private final Tensor keys;
    private final Tensor values;
    private int length;

    KeyValueCache(DecoderConfig config, Heads heads) {
        this.config = config;
        this.heads = heads;
        Shape shape = Shape.of(config.layers(), heads.keyValue(), config.context(), heads.dim());
        keys = Tensor.empty(shape, DType.F32).named("keys");
        values = Tensor.empty(shape, DType.F32).named("values");
    }

    /// How many positions it holds.
    public int length() {
        return length;
    }

    /// Forgets all positions: the next token is the first.
    public void clear() {
        length = 0;
    }

    void advance(int positions) {
        length += positions;
    }

    /// @throws IllegalArgumentException where `tokens` are not a continuation that fits
    void check(Tensor tokens) {
        Shape s = tokens.shape();
        if (s.rank() != 2 || s.dim(0) != 1 || s.dim(1) == 0) {
            throw new IllegalArgumentException("model: tokens " + s + " are not [1, T] with T at least 1");
        }
        if (s.dim(1) > config.context() - length) {
            throw new IllegalArgumentException("model: " + s.dim(1) + " tokens after the " + length
                    + " in the cache exceed the context " + config.context()
                    + "; clear() it and give the end of the text again");
        }
    }

    /// Attention of the positions of `qkv` `[1, T, (heads + 2 kvHeads) * headDim]`, which come next, to themselves
    /// and to what block `layer` has seen; adds their keys and values.
    Tensor attention(Tensor qkv, int layer) {
        Tensor floats = Ops.cast(qkv, DType.F32);
        append(keys, layer, floats, heads.query());
        append(values, layer, floats, heads.query() + heads.keyValue());
        int added = qkv.shape().dim(1);
        if (length == 0) {
            return Ops.attention(qkv, heads.query(), heads.keyValue());
        }
        Tensor out = Tensor.empty(Shape.of(1, added, heads.query() * heads.dim()), DType.F32);
        for (int t = 0; t < added; t++) {
            row(out, floats, t, layer);
        }
        return Ops.cast(out, qkv.dtype());
    }

    /// Copies heads of packed rows, `[T, heads of all kinds, headDim]`, to `[kvHeads, T, headDim]` of one block.
    private void append(Tensor to, int layer, Tensor packed, int firstHead) {
        long d = heads.dim();
        long[] strides = {config.context() * d, d, 1};
        long offset = at(layer, 0) + length * d;
        long[] packedStrides = {d, packed.shape().last(), 1};
        int[] sizes = {heads.keyValue(), packed.shape().dim(1), heads.dim()};
        to.kernels().copy(to, offset, strides, packed, firstHead * d, packedStrides, sizes, 0f);
    }

    private long at(int layer, int kvHead) {
        return ((long) layer * heads.keyValue() + kvHead) * config.context() * heads.dim();
    }

    /// One position: for each key/value head one product with all keys and one with all values.
    private void row(Tensor out, Tensor packed, int t, int layer) {
        int seen = length + t + 1;
        int d = heads.dim();
        int group = heads.query() / heads.keyValue();
        Shape past = Shape.of(seen, d);
        try (var _ = Scope.openWithoutGrad("cached attention")) {
            Tensor scores = Tensor.empty(Shape.of(heads.query(), seen), DType.F32);
            for (int h = 0; h < heads.keyValue(); h++) {
                long first = (long) t * packed.shape().last() + (long) h * group * d;
                Tensor queries = packed.slice(first, Shape.of(group, d));
                Tensor rows = scores.rows(h * group, (h + 1) * group);
                rows.kernels().matmul(rows, queries, false, keys.slice(at(layer, h), past), true, 0f, Epilogue.NONE);
            }
            Tensor p = Ops.softmax(Ops.scale(scores, (float) (1 / Math.sqrt(d))));
            for (int h = 0; h < heads.keyValue(); h++) {
                Tensor rows = p.rows(h * group, (h + 1) * group);
                Tensor to = out.slice(((long) t * heads.query() + (long) h * group) * d, Shape.of(group, d));
                to.kernels().matmul(to, rows, false, values.slice(at(layer, h), past), false, 0f, Epilogue.NONE);
            }
        }
    }
}
