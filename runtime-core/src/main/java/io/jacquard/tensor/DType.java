package io.jacquard.tensor;

/// Element types of tensors. Arithmetic accumulates in [#F32] whatever the element type.
public enum DType {
    /// IEEE 754 single precision.
    F32(4),
    /// bfloat16: the upper half of an F32.
    BF16(2),
    /// IEEE 754 half precision.
    F16(2),
    /// Signed 32-bit integer: token ids, labels, counters.
    I32(4),
    /// Unsigned 8-bit integer.
    U8(1);

    private final int bytes;

    DType(int bytes) {
        this.bytes = bytes;
    }

    /// Bytes of `elements` elements. Sub-byte types will round up to whole bytes here.
    public long bytes(long elements) {
        return Math.multiplyExact(elements, (long) bytes);
    }

    /// True for types that carry gradients.
    public boolean isFloating() {
        return this == F32 || this == BF16 || this == F16;
    }
}
