package io.jacquard.nn;

import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;

/// Logits of which each tensor rank has some columns.
final class Vocabulary {
    private Vocabulary() {}

    /// `[..., V]` of this rank's `[..., V / ranks]`, without a gradient; the same tensor where all columns are
    /// here.
    static Tensor all(Tensor here, DecoderConfig config, Partition part) {
        int ranks = part.tensor().size();
        if (here.shape().last() == config.vocabulary()) {
            return here;
        }
        int rows = Math.toIntExact(here.shape().rows());
        int widest = Math.ceilDiv(config.vocabulary(), ranks); // shares differ by one, and parts of a gather may not
        Tensor mine = Tensor.zeros(Shape.of(rows, widest), here.dtype());
        copy(mine, 0, here, 0, here.shape().last());
        Tensor parts = Tensor.empty(Shape.of(ranks * rows, widest), here.dtype());
        part.tensor().allGather(parts, mine).join();
        Tensor all = Tensor.empty(here.shape().withLast(config.vocabulary()), here.dtype());
        for (int r = 0; r < ranks; r++) {
            Slice.Range share = part.share("tokens", config.vocabulary(), r);
            copy(all, share.from(), parts.rows(r * rows, (r + 1) * rows), 0, share.length());
        }
        return all;
    }

    /// `columns` columns of each row.
    private static void copy(Tensor to, int toColumn, Tensor from, int fromColumn, int columns) {
        long[] toStrides = {to.shape().last(), 1};
        long[] fromStrides = {from.shape().last(), 1};
        int[] sizes = {Math.toIntExact(from.shape().rows()), columns};
        to.kernels().copy(to, toColumn, toStrides, from.detach(), fromColumn, fromStrides, sizes, 0f);
    }
}
