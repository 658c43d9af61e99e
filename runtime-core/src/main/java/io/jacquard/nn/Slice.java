package io.jacquard.nn;

import io.jacquard.tensor.Shape;
import java.util.List;

/// The part of a logical parameter that this rank holds: index ranges of one dimension, one after the other.
///
/// @param dim the dimension that is divided
/// @param ranges its indices that are here, in the order in which they lie here; empty where the rank holds nothing
/// @param counts whether this rank answers for the part in sums over ranks (the norm of the gradients) and in files:
/// false where it is a copy of another rank's
public record Slice(int dim, List<Range> ranges, boolean counts) {
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
        return new Slice(0, List.of(new Range(0, logical.dim(0))), true);
    }

    /// Nothing of a parameter: another rank has it.
    public static Slice nothing() {
        return new Slice(0, List.of(), false);
    }

    /// The same part, held as a copy of another rank's.
    public Slice copy() {
        return new Slice(dim, ranges, false);
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
}
