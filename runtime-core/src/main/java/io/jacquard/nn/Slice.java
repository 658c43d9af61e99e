package io.jacquard.nn;

import io.jacquard.tensor.Shape;
import java.util.List;

/// The part of a logical parameter that one rank of a tensor group holds: index ranges of one dimension, one after the
/// other.
///
/// @param dim the dimension that is divided
/// @param ranges its indices that are here, in the order in which they lie here
public record Slice(int dim, List<Range> ranges) {
    /// Indices `from` (inclusive) to `to` (exclusive) of the logical parameter.
    public record Range(int from, int to) {
        /// Checks that it is not backwards.
        public Range {
            if (from < 0 || from > to) {
                throw new IllegalArgumentException("slice: from " + from + " to " + to + " is not a range");
            }
        }

        /// How many indices.
        public int length() {
            return to - from;
        }
    }

    /// Copies the list.
    public Slice {
        ranges = List.copyOf(ranges);
    }

    /// All of a parameter of this shape.
    public static Slice all(Shape logical) {
        return new Slice(0, List.of(new Range(0, logical.dim(0))));
    }

    /// The shape of this part of a parameter of shape `logical`.
    ///
    /// @throws IllegalArgumentException if a range is not inside it
    public Shape of(Shape logical) {
        int[] dims = logical.toArray();
        int length = 0;
        for (Range r : ranges) {
            if (r.to > dims[dim]) {
                throw new IllegalArgumentException("slice: " + this + " is not inside " + logical);
            }
            length += r.length();
        }
        dims[dim] = length;
        return Shape.of(dims);
    }

    /// Calls `run` for each run of elements that follow one another in both, the part and the whole.
    public void runs(Shape logical, Runs run) {
        int[] dims = logical.toArray();
        int inner = 1;
        for (int d = dim + 1; d < dims.length; d++) {
            inner *= dims[d];
        }
        int outer = 1;
        for (int d = 0; d < dim; d++) {
            outer *= dims[d];
        }
        long here = 0;
        for (int o = 0; o < outer; o++) {
            for (Range r : ranges) {
                long elements = (long) r.length() * inner;
                run.accept(here, ((long) o * dims[dim] + r.from) * inner, elements);
                here += elements;
            }
        }
    }

    /// Takes elements `here` on of the part, which are elements `whole` on of the logical parameter.
    @FunctionalInterface
    public interface Runs {
        void accept(long here, long whole, long elements);
    }
}
