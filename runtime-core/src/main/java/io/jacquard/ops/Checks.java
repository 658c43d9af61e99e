package io.jacquard.ops;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;

/// The checks of operations: one line that names the operation, the operands and what was expected.
final class Checks {
    private Checks() {}

    static void floating(String op, Tensor x) {
        if (!x.dtype().isFloating()) {
            throw new IllegalArgumentException(op + ": " + x + " is not of a floating dtype; cast it first");
        }
    }

    static void sameDType(String op, Tensor a, Tensor b) {
        floating(op, a);
        if (a.dtype() != b.dtype()) {
            throw new IllegalArgumentException(op + ": dtypes differ: " + a + " and " + b + "; cast one of them");
        }
    }

    static void same(String op, Tensor a, Tensor b) {
        sameDType(op, a, b);
        if (!a.shape().equals(b.shape())) {
            throw new IllegalArgumentException(op + ": shapes differ: " + a.shape() + " and " + b.shape());
        }
    }

    static void row(String op, Tensor x, Tensor row) {
        sameDType(op, x, row);
        if (row.shape().rank() != 1 || row.size() != x.shape().last()) {
            throw new IllegalArgumentException(op + ": a row of " + x.shape() + " has "
                    + x.shape().last() + " elements, " + row + " does not fit");
        }
    }

    static void dtype(String op, String what, Tensor x, DType expected) {
        if (x.dtype() != expected) {
            throw new IllegalArgumentException(op + ": " + what + " " + x + " must be " + expected);
        }
    }

    static void elements(String op, String what, Tensor x, long expected) {
        if (x.size() != expected) {
            throw new IllegalArgumentException(op + ": " + what + " " + x + " must have " + expected + " elements");
        }
    }

    static void notNegative(String op, String what, long value) {
        if (value < 0) {
            throw new IllegalArgumentException(op + ": " + what + " must not be negative, is " + value);
        }
    }

    static int positive(String op, String what, int value) {
        if (value <= 0) {
            throw new IllegalArgumentException(op + ": " + what + " must be positive, is " + value);
        }
        return value;
    }

    static Shape rank(String op, Tensor x, int rank) {
        if (x.shape().rank() != rank) {
            throw new IllegalArgumentException(op + ": expected " + rank + " dimensions, got " + x.shape());
        }
        return x.shape();
    }
}
