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
            case F8E4M3 -> SmallFloat.E4M3.round((float) value);
            case F8E5M2 -> SmallFloat.E5M2.round((float) value);
            case I8 -> integer(value, -127, 127);
            case I4 -> integer(value, -8, 7);
        };
    }

    private static double integer(double value, int least, int most) {
        return Double.isNaN(value) ? 0 : (int) Math.clamp(Math.rint((float) value), least, most);
    }

    /// The distance between neighbouring values of `dtype` at `value`.
    public static double ulp(DType dtype, double value) {
        double v = Math.abs(value);
        return switch (dtype) {
            case F32 -> Math.ulp((float) Math.min(v, Float.MAX_VALUE));
            case BF16 -> spacing(v, 7, -126);
            case F16 -> spacing(v, 10, -14);
            case F8E4M3 -> spacing(v, 3, -6);
            case F8E5M2 -> spacing(v, 2, -14);
            case I32, U8, I8, I4 -> 0;
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
            case U8, I8 -> memory.set(ValueLayout.JAVA_BYTE, index, (byte) (int) value);
            case F8E4M3 -> memory.set(ValueLayout.JAVA_BYTE, index, SmallFloat.E4M3.bits(value));
            case F8E5M2 -> memory.set(ValueLayout.JAVA_BYTE, index, SmallFloat.E5M2.bits(value));
            case I4 -> {
                int shift = 4 * (int) (index % 2);
                int other = memory.get(ValueLayout.JAVA_BYTE, index / 2) & 0xf0 >> shift;
                memory.set(ValueLayout.JAVA_BYTE, index / 2, (byte) (other | ((int) value & 15) << shift));
            }
        }
    }

    static double read(MemorySegment memory, DType dtype, long index) {
        return switch (dtype) {
            case F32 -> memory.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, index);
            case BF16 -> fromBf16(memory.getAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, index));
            case F16 -> Float.float16ToFloat(memory.getAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, index));
            case I32 -> memory.getAtIndex(ValueLayout.JAVA_INT_UNALIGNED, index);
            case U8 -> Byte.toUnsignedInt(memory.get(ValueLayout.JAVA_BYTE, index));
            case F8E4M3 -> SmallFloat.E4M3.value(memory.get(ValueLayout.JAVA_BYTE, index));
            case F8E5M2 -> SmallFloat.E5M2.value(memory.get(ValueLayout.JAVA_BYTE, index));
            case I8 -> memory.get(ValueLayout.JAVA_BYTE, index);
            case I4 -> {
                int two = memory.get(ValueLayout.JAVA_BYTE, index / 2);
                yield index % 2 == 0 ? (byte) (two << 4) >> 4 : two >> 4;
            }
        };
    }
}
