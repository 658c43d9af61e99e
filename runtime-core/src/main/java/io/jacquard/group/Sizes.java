package io.jacquard.group;

import io.jacquard.tensor.Tensor;

/// What every engine checks of its operands, with the same words.
public final class Sizes {
    private Sizes() {}

    /// `t` must be of a floating dtype.
    public static void floating(String operation, Tensor t) {
        if (!t.dtype().isFloating()) {
            throw new IllegalArgumentException(
                    operation + ": " + t + " cannot be summed over ranks; expected F32, BF16 or F16");
        }
    }

    /// `whole` must be `size` times as large as `part`.
    public static void whole(String operation, Tensor whole, Tensor part, int size) {
        if (whole.size() != part.size() * size || whole.dtype() != part.dtype()) {
            throw new IllegalArgumentException(operation + ": " + whole + " is not " + size + " times " + part
                    + "; expected " + part.size() * size + " elements of " + part.dtype());
        }
    }

    /// `in` and `out` must be alike, and divide into equal parts.
    public static void exchange(Tensor out, Tensor in, int size) {
        if (out.size() != in.size() || out.dtype() != in.dtype() || in.size() % size != 0) {
            throw new IllegalArgumentException("allToAll: out " + out + ", in " + in + "; expected as many elements of"
                    + " the same dtype, a multiple of the " + size + " ranks");
        }
    }

    /// There must be such a rank.
    public static void rank(String operation, int rank, int size) {
        if (rank < 0 || rank >= size) {
            throw new IllegalArgumentException(
                    operation + ": there is no rank " + rank + "; expected 0 to " + (size - 1));
        }
    }

    /// There must be such a rank, and it must be another.
    public static void other(String operation, int rank, int self, int size) {
        rank(operation, rank, size);
        if (rank == self) {
            throw new IllegalArgumentException(operation + ": rank " + rank + " is this rank");
        }
    }
}
