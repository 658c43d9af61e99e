package io.jacquard.cpu;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// A tensor as kernels see it. F32 is read and written in place; other types pass through scratch.
record Operand(long address, DType type, int elementBytes) {
    static Operand of(Tensor t) {
        return new Operand(t.address(), t.dtype(), (int) t.dtype().bytes(1));
    }

    static @Nullable Operand ofNullable(@Nullable Tensor t) {
        return t == null ? null : of(t);
    }

    boolean inPlace() {
        return type == DType.F32;
    }

    /// Where an element lies: of I4 the first of two.
    long at(long element) {
        return type == DType.I4 ? address + (element >> 1) : address + element * elementBytes;
    }

    /// Where `n` elements from `element` on lie as floats: in place, or widened into `scratch`.
    long read(long element, int n, long scratch) {
        if (inPlace()) {
            return at(element);
        }
        Convert.widen(type, at(element), scratch, n);
        return scratch;
    }

    /// Where to write the floats that [#written] will store.
    long target(long element, long scratch) {
        return inPlace() ? at(element) : scratch;
    }

    /// Stores what was written to the [#target].
    void written(long element, int n, long scratch) {
        if (!inPlace()) {
            Convert.narrow(type, scratch, at(element), n);
        }
    }
}
