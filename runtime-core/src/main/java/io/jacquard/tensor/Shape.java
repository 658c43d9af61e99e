package io.jacquard.tensor;

import java.util.Arrays;

/// The sizes of a tensor's dimensions, outermost first. Immutable; rank 0 is a scalar.
public final class Shape {
    private final int[] dims;
    private final long elements;

    private Shape(int[] dims) {
        long n = 1;
        for (int d : dims) {
            if (d < 0) {
                throw new IllegalArgumentException("shape: negative dimension in " + Arrays.toString(dims));
            }
            n = Math.multiplyExact(n, (long) d);
        }
        this.dims = dims;
        this.elements = n;
    }

    /// A shape of these sizes; none at all is a scalar.
    ///
    /// @throws IllegalArgumentException if a size is negative
    /// @throws ArithmeticException if the number of elements does not fit a long
    public static Shape of(int... dims) {
        return new Shape(dims.clone());
    }

    /// How many dimensions.
    public int rank() {
        return dims.length;
    }

    /// Size of dimension `i`; negative counts from the end, -1 is the last.
    ///
    /// @throws IllegalArgumentException if there is no such dimension
    public int dim(int i) {
        int k = i < 0 ? i + dims.length : i;
        if (k < 0 || k >= dims.length) {
            throw new IllegalArgumentException("shape: no dimension " + i + " in " + this);
        }
        return dims[k];
    }

    /// The innermost size; 1 for a scalar.
    public int last() {
        return dims.length == 0 ? 1 : dims[dims.length - 1];
    }

    /// The product of all sizes but the last: how many rows a `[..., C]` tensor has.
    public long rows() {
        if (dims.length == 0) {
            return 1;
        }
        long n = 1;
        for (int i = 0; i < dims.length - 1; i++) {
            n *= dims[i];
        }
        return n;
    }

    /// The product of all sizes; 1 for a scalar.
    public long elements() {
        return elements;
    }

    /// This shape with `size` in place of the innermost size.
    ///
    /// @throws IllegalArgumentException if this is a scalar
    public Shape withLast(int size) {
        if (dims.length == 0) {
            throw new IllegalArgumentException("shape: a scalar has no last dimension");
        }
        int[] d = dims.clone();
        d[d.length - 1] = size;
        return new Shape(d);
    }

    /// The sizes, outermost first; a copy.
    public int[] toArray() {
        return dims.clone();
    }

    @Override
    public boolean equals(Object o) {
        return o instanceof Shape s && Arrays.equals(dims, s.dims);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(dims);
    }

    @Override
    public String toString() {
        return Arrays.toString(dims);
    }
}
