package io.jacquard.cuda;

import io.jacquard.tensor.Tensor;

/// How the kernels of `rows.cuh` share rows out: groups of threads, one row to a group at a time.
final class RowGroups {
    private static final int WARP = 32;

    private RowGroups() {}

    /// The last dimension.
    static int columns(Tensor t) {
        return t.shape().dim(t.shape().rank() - 1);
    }

    /// Rows of `columns`.
    static long rows(Tensor t, int columns) {
        return columns == 0 ? 0 : t.size() / columns;
    }

    /// Elements in 16 bytes.
    static int vector(Tensor t) {
        return (int) (16 / t.dtype().bytes(1));
    }

    /// Threads for `items`, `each` per thread: whole warps, at least one and at most `most` threads.
    static int threads(long items, int each, int most) {
        long wanted = (items + each - 1) / each;
        return (int) Math.clamp((wanted + WARP - 1) / WARP * WARP, (long) WARP, (long) most);
    }
}
