package io.jacquard.cuda;

/// The index space of a strided copy, brought into the order and the fewest dimensions that the kernels like: the last
/// dimension has the smallest steps in the result, dimensions that step evenly on both sides are one, and there are at
/// least four. Its arrays serve every call, so that a copy makes no garbage.
final class CopyPlan {
    /// Dimensions that one launch walks.
    static final int DIMENSIONS = 4;

    private int rank;
    private int[] sizes = new int[2 * DIMENSIONS];
    private long[] out = new long[2 * DIMENSIONS];
    private long[] x = new long[2 * DIMENSIONS];

    /// Takes a space; its dimensions of size 1 are dropped.
    void set(long[] outStrides, long[] xStrides, int[] dims) {
        int room = Math.max(dims.length, DIMENSIONS);
        if (room > sizes.length) {
            sizes = new int[room];
            out = new long[room];
            x = new long[room];
        }
        rank = 0;
        for (int d = 0; d < dims.length; d++) {
            if (dims[d] != 1) {
                insert(dims[d], outStrides[d], xStrides[d]);
            }
        }
        join();
        while (rank < DIMENSIONS) {
            insertAt(0, 1, 0, 0);
        }
    }

    /// Behind the dimensions of larger steps.
    private void insert(int size, long outStride, long xStride) {
        int at = rank;
        while (at > 0 && out[at - 1] < outStride) {
            at--;
        }
        insertAt(at, size, outStride, xStride);
    }

    private void insertAt(int at, int size, long outStride, long xStride) {
        System.arraycopy(sizes, at, sizes, at + 1, rank - at);
        System.arraycopy(out, at, out, at + 1, rank - at);
        System.arraycopy(x, at, x, at + 1, rank - at);
        sizes[at] = size;
        out[at] = outStride;
        x[at] = xStride;
        rank++;
    }

    private void join() {
        int n = 0;
        for (int d = 0; d < rank; d++) {
            boolean even = n > 0 && out[n - 1] == out[d] * sizes[d] && x[n - 1] == x[d] * sizes[d];
            if (even && (long) sizes[n - 1] * sizes[d] <= Integer.MAX_VALUE) {
                n--;
                sizes[n] *= sizes[d];
            } else {
                sizes[n] = sizes[d];
            }
            out[n] = out[d];
            x[n] = x[d];
            n++;
        }
        rank = n;
    }

    /// Where `x` is contiguous along another dimension than the result, and both are at least `smallest` long:
    /// makes that one the last but one, and says so.
    boolean transpose(int smallest) {
        int last = rank - 1;
        if (out[last] != 1 || x[last] == 1 || sizes[last] < smallest) {
            return false;
        }
        int d = last - 1;
        while (d >= 0 && !(x[d] == 1 && sizes[d] >= smallest)) {
            d--;
        }
        if (d < 0) {
            return false;
        }
        int size = sizes[d];
        long outStride = out[d];
        for (int i = d; i < last - 1; i++) {
            sizes[i] = sizes[i + 1];
            out[i] = out[i + 1];
            x[i] = x[i + 1];
        }
        sizes[last - 1] = size;
        out[last - 1] = outStride;
        x[last - 1] = 1;
        return true;
    }

    /// Elements of the last [#DIMENSIONS].
    long elements() {
        return (long) size(0) * size(1) * size(2) * size(3);
    }

    /// Size of dimension `d` of the last [#DIMENSIONS].
    int size(int d) {
        return sizes[rank - DIMENSIONS + d];
    }

    /// Step of dimension `d` of the last [#DIMENSIONS] in the result.
    long outStride(int d) {
        return out[rank - DIMENSIONS + d];
    }

    /// Step of dimension `d` of the last [#DIMENSIONS] in the source.
    long xStride(int d) {
        return x[rank - DIMENSIONS + d];
    }

    /// How often the last [#DIMENSIONS] repeat: the product of the others, 1 if there are none.
    long repeats() {
        long n = 1;
        for (int d = 0; d < rank - DIMENSIONS; d++) {
            n *= sizes[d];
        }
        return n;
    }

    /// Where repetition `r` begins in the result.
    long outOffset(long r) {
        return offset(r, out);
    }

    /// Where repetition `r` begins in the source.
    long xOffset(long r) {
        return offset(r, x);
    }

    private long offset(long r, long[] strides) {
        long offset = 0;
        for (int d = rank - DIMENSIONS - 1; d >= 0; d--) {
            offset += r % sizes[d] * strides[d];
            r /= sizes[d];
        }
        return offset;
    }
}
