package io.jacquard.tensor;

/// Element types of tensors. Arithmetic accumulates in [#F32] whatever the element type.
public enum DType {
    /// IEEE 754 single precision.
    F32(32, Float.MAX_VALUE),
    /// bfloat16: the upper half of an F32.
    BF16(16, 0x1.fep127f),
    /// IEEE 754 half precision.
    F16(16, 65504),
    /// Signed 32-bit integer: token ids, labels, counters.
    I32(32, Integer.MAX_VALUE),
    /// Unsigned 8-bit integer.
    U8(8, 255),
    /// 8-bit floating point with 4 bits of exponent (bias 7) and 3 of mantissa: no infinities, one NaN of each sign
    /// (Micikevicius et al., arXiv:2209.05433).
    F8E4M3(8, 448),
    /// 8-bit floating point with 5 bits of exponent (bias 15) and 2 of mantissa: the upper half of an F16.
    F8E5M2(8, 57344),
    /// Signed 8-bit integer of low-precision matrices: -127 to 127, symmetric.
    I8(8, 127),
    /// Signed 4-bit integer of low-precision matrices, two to a byte, the first in the lower half: -8 to 7.
    I4(4, 7);

    private final int bits;
    private final float largest;

    DType(int bits, float largest) {
        this.bits = bits;
        this.largest = largest;
    }

    /// Bytes of `elements` elements; the last byte may be half used.
    public long bytes(long elements) {
        return bits == 4 ? (elements + 1) / 2 : Math.multiplyExact(elements, bits / 8L);
    }

    /// The largest finite value; of [#I8] and [#I4] the largest whose negative is one, too.
    public float largest() {
        return largest;
    }

    /// True for types that carry gradients.
    public boolean isFloating() {
        return this == F32 || this == BF16 || this == F16;
    }

    /// True for types of [Scaled][io.jacquard.tensor.spi.Scaled] matrices, whose elements mean something with a
    /// scale.
    public boolean isScaled() {
        return ordinal() >= F8E4M3.ordinal();
    }
}
