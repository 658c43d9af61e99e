package io.jacquard.tensor.spi;

import io.jacquard.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Element types as the tests see them: values are doubles, memory is bytes; written apart from the code under test.
public final class Numbers {
    private Numbers() {}

    /// The value that `dtype` would hold. Goes through float, as every kernel's arithmetic does.
    public static double round(DType dtype, double value) {
        return switch (dtype) {
            case F32 -> (float) value;
            case BF16 -> fromBf16(toBf16((float) value));
            case F16 -> Float.float16ToFloat(Float.floatToFloat16((float) value));
            case I32 -> (int) value;
            case U8 -> ((int) value) & 0xff;
        };
    }

    /// The distance between neighbouring values of `dtype` at `value`.
    public static double ulp(DType dtype, double value) {
        double v = Math.abs(value);
        return switch (dtype) {
            case F32 -> Math.ulp((float) Math.min(v, Float.MAX_VALUE));
            case BF16 -> spacing(v, 7, -126);
            case F16 -> spacing(v, 10, -14);
            case I32, U8 -> 0;
        };
    }

    private static double spacing(double v, int mantissa, int smallestExponent) {
        int e = v == 0 ? smallestExponent : Math.max(smallestExponent, Math.getExponent(v));
        return Math.scalb(1.0, Math.min(e, 1000) - mantissa);
    }

    public static short toBf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short) ((bits >>> 16) | 0x40); // stays a NaN when the low half held its payload
        }
        int half = 0x7fff + ((bits >>> 16) & 1); // ties to even
        return (short) ((bits + half) >>> 16);
    }

    public static float fromBf16(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    static void write(MemorySegment memory, DType dtype, long index, double value) {
        switch (dtype) {
            case F32 -> memory.setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, index, (float) value);
            case BF16 -> memory.setAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, index, toBf16((float) value));
            case F16 -> memory.setAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, index, Float.floatToFloat16((float) value));
            case I32 -> memory.setAtIndex(ValueLayout.JAVA_INT_UNALIGNED, index, (int) value);
            case U8 -> memory.set(ValueLayout.JAVA_BYTE, index, (byte) (int) value);
        }
    }

    static double read(MemorySegment memory, DType dtype, long index) {
        return switch (dtype) {
            case F32 -> memory.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, index);
            case BF16 -> fromBf16(memory.getAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, index));
            case F16 -> Float.float16ToFloat(memory.getAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, index));
            case I32 -> memory.getAtIndex(ValueLayout.JAVA_INT_UNALIGNED, index);
            case U8 -> Byte.toUnsignedInt(memory.get(ValueLayout.JAVA_BYTE, index));
        };
    }
}
