package io.jacquard.io;

import java.util.Locale;

/// The element types of the safetensors format, in the order that its writers sort by.
public enum SafetensorsType {
    BOOL(8),
    F4(4),
    F6_E2M3(6),
    F6_E3M2(6),
    U8(8),
    I8(8),
    F8_E5M2(8),
    F8_E4M3(8),
    F8_E8M0(8),
    F8_E4M3FNUZ(8),
    F8_E5M2FNUZ(8),
    I16(16),
    U16(16),
    F16(16),
    BF16(16),
    I32(32),
    U32(32),
    F32(32),
    C64(64),
    F64(64),
    I64(64),
    U64(64);

    private final int bits;

    SafetensorsType(int bits) {
        this.bits = bits;
    }

    /// Bits of one element; 4 and 6 for the types smaller than a byte.
    public int bits() {
        return bits;
    }

    /// Bytes of a tensor of this shape.
    ///
    /// @throws IllegalArgumentException if a dimension is negative, the size overflows, or the last byte is not
    /// full
    public long bytes(Iterable<Long> shape) {
        try {
            long elements = 1;
            for (long dim : shape) {
                if (dim < 0) {
                    throw new IllegalArgumentException("shape " + shape + " has a negative dimension");
                }
                elements = Math.multiplyExact(elements, dim);
            }
            long totalBits = Math.multiplyExact(elements, (long) bits);
            if (totalBits % 8 != 0) {
                throw new IllegalArgumentException(String.format(
                        Locale.ROOT,
                        "shape %s of %s takes %d bits, which is not a whole number of bytes",
                        shape,
                        this,
                        totalBits));
            }
            return totalBits / 8;
        } catch (ArithmeticException e) {
            throw new IllegalArgumentException("shape " + shape + " of " + this + " overflows 2^63 - 1", e);
        }
    }
}
