package io.jacquard.optim;

import io.jacquard.nn.Weights;
import io.jacquard.nn.Weights.Segment;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.HashMap;
import java.util.Map;

/// Where the values, or the gradients, of all segments are: whole, or only this rank's part of each, with memory for
/// the whole of some at a time.
///
/// Blocks take turns in two slots, so that one can be communicated while the next is computed with; other segments
/// have memory for their whole.
final class Store {
    private static final int SLOTS = 2;

    private final Tensor own;
    private final boolean isWhole;
    private final int shards;
    private final int rank;
    private final Map<String, Tensor> wholes = new HashMap<>();
    private long buffers;

    private Store(Tensor own, boolean isWhole, int shards, int rank) {
        this.own = own;
        this.isWhole = isWhole;
        this.shards = shards;
        this.rank = rank;
    }

    /// Over a flat tensor of all segments.
    static Store whole(Weights weights, Tensor flat, int shards, int rank) {
        Store store = new Store(flat, true, shards, rank);
        for (Segment s : weights.segments()) {
            store.wholes.put(s.name(), flat.slice(s.offset(), s.shape()));
        }
        return store;
    }

    /// Allocates this rank's parts and the buffers in the current scope, zeroed.
    static Store parts(Weights weights, String name, DType dtype, int shards, int rank) {
        Shape slice = Shape.of(Math.toIntExact(weights.elements() / shards));
        Store store = new Store(Tensor.zeros(slice, dtype).named(name), false, shards, rank);
        Map<String, Tensor> slots = new HashMap<>();
        int turn = 0;
        for (Segment s : weights.segments()) {
            // blocks of one size take turns; gaps between parameters stay zero, since their layout is the same
            String key = s.isBlock() ? s.elements() + " elements, slot " + turn++ % SLOTS : s.name();
            Tensor whole = slots.computeIfAbsent(
                    key,
                    _ -> Tensor.zeros(s.shape(), dtype).named(name + ", whole of " + (s.isBlock() ? "a block" : key)));
            store.wholes.put(s.name(), whole);
        }
        store.buffers = slots.values().stream().mapToLong(Tensor::bytes).sum();
        return store;
    }

    /// Whether all segments are here at all times.
    boolean isWhole() {
        return isWhole;
    }

    /// Memory for all of `s`; of a block, as long as no other of the same slot is needed.
    Tensor whole(Segment s) {
        Tensor t = wholes.get(s.name());
        if (t == null) {
            throw new AssertionError("no memory for segment " + s);
        }
        return t;
    }

    /// This rank's part of [#whole].
    Tensor partOfWhole(Segment s) {
        Shape part = part(s);
        return whole(s).slice(rank * part.elements(), part);
    }

    /// Where this rank's part of `s` lives.
    Tensor kept(Segment s) {
        return isWhole ? partOfWhole(s) : own.slice(s.offset() / shards, part(s));
    }

    private Shape part(Segment s) {
        return Shape.of(Math.toIntExact(s.elements() / shards));
    }

    /// Whether what is kept of consecutive segments lies behind one another.
    boolean adjoins() {
        return !isWhole || shards == 1;
    }

    /// All that is kept, flat.
    Tensor own() {
        return own;
    }

    /// Bytes of the memory for wholes, where only parts are kept.
    long bufferBytes() {
        return buffers;
    }
}
