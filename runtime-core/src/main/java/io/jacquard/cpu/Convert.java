package io.jacquard.cpu;

import static io.jacquard.cpu.Mem.ALL;
import static io.jacquard.cpu.Mem.S;
import static io.jacquard.cpu.Mem.VL;

import io.jacquard.tensor.DType;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/// Between F32 and the other element types, a run of elements at a time.
final class Convert {
    private static final VectorSpecies<Integer> I = VectorSpecies.of(int.class, S.vectorShape());
    private static final VectorSpecies<Short> H =
            VectorSpecies.of(short.class, VectorShape.forBitSize(S.vectorBitSize() / 2));
    private static final ByteOrder NATIVE = ByteOrder.nativeOrder();

    private Convert() {}

    /// `n` elements of `type` at `from` as floats at `to`.
    static void widen(DType type, long from, long to, int n) {
        switch (type) {
            case F32 -> Mem.copy(from, to, 4L * n);
            case BF16 -> widenBf16(from, to, n);
            case F16 -> widenF16(from, to, n);
            case I32 -> widenI32(from, to, n);
            case U8 -> widenU8(from, to, n);
            case F8E4M3, F8E5M2, I8, I4 -> LowPrecision.widen(type, from, to, n);
        }
    }

    /// `n` floats at `from` as elements of `type` at `to`.
    static void narrow(DType type, long from, long to, int n) {
        switch (type) {
            case F32 -> Mem.copy(from, to, 4L * n);
            case BF16 -> narrowBf16(from, to, n);
            case F16 -> narrowF16(from, to, n);
            case I32 -> narrowI32(from, to, n);
            case U8 -> narrowU8(from, to, n);
            case F8E4M3, F8E5M2, I8, I4 -> LowPrecision.narrow(type, from, to, n);
        }
    }

    static FloatVector loadBf16(long address) {
        ShortVector h = ShortVector.fromMemorySegment(H, ALL, address, NATIVE);
        IntVector i = (IntVector) h.convertShape(VectorOperators.ZERO_EXTEND_S2I, I, 0);
        return i.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
    }

    /// NaN are rare: one test of a whole vector, and the rounding of all others without them.
    static void storeBf16(FloatVector v, long address) {
        IntVector bits = v.reinterpretAsInts();
        IntVector odd = bits.lanewise(VectorOperators.LSHR, 16).and(1);
        IntVector rounded = bits.add(odd).add(0x7fff);
        VectorMask<Float> nan = v.test(VectorOperators.IS_NAN);
        if (nan.anyTrue()) {
            rounded = rounded.blend(bits.or(0x400000), nan.cast(I));
        }
        ShortVector h =
                (ShortVector) rounded.lanewise(VectorOperators.LSHR, 16).convertShape(VectorOperators.I2S, H, 0);
        h.intoMemorySegment(ALL, address, NATIVE);
    }

    static void widenBf16(long from, long to, int n) {
        int i = 0;
        for (; i <= n - VL; i += VL) {
            Mem.store(loadBf16(from + 2L * i), to + 4L * i);
        }
        for (; i < n; i++) {
            Mem.setFloat(to + 4L * i, bf16ToFloat(Mem.getShort(from + 2L * i)));
        }
    }

    static void narrowBf16(long from, long to, int n) {
        int i = 0;
        for (; i <= n - VL; i += VL) {
            storeBf16(Mem.load(from + 4L * i), to + 2L * i);
        }
        for (; i < n; i++) {
            Mem.setShort(to + 2L * i, floatToBf16(Mem.getFloat(from + 4L * i)));
        }
    }

    private static void widenF16(long from, long to, int n) {
        for (int i = 0; i < n; i++) {
            Mem.setFloat(to + 4L * i, Float.float16ToFloat(Mem.getShort(from + 2L * i)));
        }
    }

    private static void narrowF16(long from, long to, int n) {
        for (int i = 0; i < n; i++) {
            Mem.setShort(to + 2L * i, Float.floatToFloat16(Mem.getFloat(from + 4L * i)));
        }
    }

    private static void widenI32(long from, long to, int n) {
        for (int i = 0; i < n; i++) {
            Mem.setFloat(to + 4L * i, Mem.getInt(from + 4L * i));
        }
    }

    private static void narrowI32(long from, long to, int n) {
        for (int i = 0; i < n; i++) {
            Mem.setInt(to + 4L * i, (int) Mem.getFloat(from + 4L * i));
        }
    }

    private static void widenU8(long from, long to, int n) {
        for (int i = 0; i < n; i++) {
            Mem.setFloat(to + 4L * i, Mem.getByte(from + i) & 0xff);
        }
    }

    private static void narrowU8(long from, long to, int n) {
        for (int i = 0; i < n; i++) {
            Mem.setByte(to + i, (byte) (int) Mem.getFloat(from + 4L * i));
        }
    }

    static float bf16ToFloat(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    static short floatToBf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short) (bits >>> 16 | 0x40);
        }
        return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
    }

    static float toFloat(DType type, long address) {
        return switch (type) {
            case F32 -> Mem.getFloat(address);
            case BF16 -> bf16ToFloat(Mem.getShort(address));
            case F16 -> Float.float16ToFloat(Mem.getShort(address));
            case I32 -> Mem.getInt(address);
            case U8 -> Mem.getByte(address) & 0xff;
            case F8E4M3, F8E5M2, I8, I4 -> throw new AssertionError(type);
        };
    }

    static void fromFloat(DType type, long address, float value) {
        switch (type) {
            case F32 -> Mem.setFloat(address, value);
            case BF16 -> Mem.setShort(address, floatToBf16(value));
            case F16 -> Mem.setShort(address, Float.floatToFloat16(value));
            case I32 -> Mem.setInt(address, (int) value);
            case U8 -> Mem.setByte(address, (byte) (int) value);
            case F8E4M3, F8E5M2, I8, I4 -> throw new AssertionError(type);
        }
    }
}
