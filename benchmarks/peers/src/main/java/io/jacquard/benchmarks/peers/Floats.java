package io.jacquard.benchmarks.peers;

import java.util.Arrays;

/// A tensor on the heap, row by row: what goes into a library and comes out of it.
record Floats(float[] values, long... dims) {
    Floats {
        if (Arrays.stream(dims).reduce(1, Math::multiplyExact) != values.length) {
            throw new IllegalArgumentException(
                    values.length + " values do not make a tensor of shape " + Arrays.toString(dims));
        }
    }

    /// The size of its last dimension.
    int columns() {
        return (int) dims[dims.length - 1];
    }

    /// All others together.
    int rows() {
        return values.length / columns();
    }

    double at(int row, int column) {
        return values[row * columns() + column];
    }
}
