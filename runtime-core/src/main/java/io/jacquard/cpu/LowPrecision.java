package io.jacquard.cpu;

import static io.jacquard.cpu.Mem.ALL;
import static io.jacquard.cpu.Mem.S;
import static io.jacquard.cpu.Mem.VL;

import io.jacquard.tensor.DType;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/// Between F32 and the types of 8 and 4 bits, a run of elements at a time.
final class LowPrecision {
    /// What an 8-bit floating type is made of.
    private static final class Format {
        static final Format E4M3 = new Format(3, 7, 0x7e, 0x7f);
        static final Format E5M2 = new Format(2, 15, 0x7b, 0x7c);

        private static final int NAN = 0x7f;

        /// Bits of it.
        final int mantissa;

        /// Added to the exponent, left by the rounding, to make F32's of it.
        final int bias;

        /// A float whose ulp is the smallest subnormal: adding it rounds to a multiple of that.
        final int magic;

        /// As the bits of a float.
        final int smallestNormal;

        /// As an element.
        final int largest;

        /// As an element: NaN where the type has none.
        final int infinity;

        final float[] values = new float[256];

        Format(int mantissa, int exponentBias, int largest, int infinity) {
            this.mantissa = mantissa;
            this.largest = largest;
            this.infinity = infinity;
            bias = 127 - exponentBias << mantissa;
            smallestNormal = 128 - exponentBias << 23;
            magic = 128 - exponentBias - mantissa + 23 << 23;
            for (int bits = 0; bits < 256; bits++) {
                values[bits] = value(bits, exponentBias);
            }
        }

        private float value(int bits, int exponentBias) {
            int magnitude = bits & 0x7f;
            int exponent = magnitude >> mantissa;
            int fraction = magnitude & (1 << mantissa) - 1;
            float value = exponent == 0
                    ? Math.scalb((float) fraction, 1 - exponentBias - mantissa)
                    : Math.scalb((float) (fraction | 1 << mantissa), exponent - exponentBias - mantissa);
            if (magnitude > largest) {
                value = magnitude == infinity && infinity != NAN ? Float.POSITIVE_INFINITY : Float.NaN;
            }
            return bits < 128 ? value : -value;
        }

        /// As [LowPrecision#narrow].
        int element(int bits) {
            int magnitude = bits & 0x7fffffff;
            int sign = bits >>> 24 & 0x80;
            if (magnitude >= 0x7f800000) {
                return sign | (magnitude == 0x7f800000 ? infinity : NAN);
            }
            if (magnitude < smallestNormal) {
                float sum = Float.intBitsToFloat(magnitude) + Float.intBitsToFloat(magic);
                return sign | Float.floatToRawIntBits(sum) - magic;
            }
            int dropped = 23 - mantissa;
            int rounded = magnitude + (1 << dropped - 1) - 1 + (magnitude >> dropped & 1);
            return sign | Math.min((rounded >> dropped) - bias, largest);
        }

        IntVector elements(FloatVector x) {
            IntVector bits = x.reinterpretAsInts();
            IntVector magnitude = bits.and(0x7fffffff);
            int dropped = 23 - mantissa;
            IntVector rounded = magnitude
                    .add(magnitude.lanewise(VectorOperators.LSHR, dropped).and(1))
                    .add((1 << dropped - 1) - 1)
                    .lanewise(VectorOperators.LSHR, dropped)
                    .sub(bias)
                    .min(largest);
            IntVector small = magnitude
                    .reinterpretAsFloats()
                    .add(Float.intBitsToFloat(magic))
                    .reinterpretAsInts()
                    .sub(magic);
            VectorMask<Integer> isSmall = magnitude.compare(VectorOperators.LT, smallestNormal);
            VectorMask<Integer> isInfinite = magnitude.compare(VectorOperators.EQ, 0x7f800000);
            VectorMask<Integer> isNan = magnitude.compare(VectorOperators.GT, 0x7f800000);
            IntVector sign = bits.lanewise(VectorOperators.LSHR, 24).and(0x80);
            return rounded.blend(small, isSmall)
                    .blend(infinity, isInfinite)
                    .blend(NAN, isNan)
                    .or(sign);
        }
    }

    private static final VectorSpecies<Integer> I = VectorSpecies.of(int.class, S.vectorShape());

    /// As many bytes as a vector has floats. There are no vectors of 4 bytes: then `VL` is too small, and not used.
    private static final VectorSpecies<Byte> B =
            VectorSpecies.of(byte.class, VectorShape.forBitSize(Math.max(64, S.vectorBitSize() / 4)));

    private static final boolean HAS_VECTORS = S.vectorBitSize() >= 256;
    private static final float ROUND = 12582912f; // 1.5 * 2^23: adding it rounds to an integer in the low bits
    private static final ByteOrder NATIVE = ByteOrder.nativeOrder();

    private LowPrecision() {}

    /// `n` elements of `type` at `from` as floats at `to`.
    static void widen(DType type, long from, long to, int n) {
        switch (type) {
            case F8E4M3 -> look(Format.E4M3.values, from, to, n);
            case F8E5M2 -> look(Format.E5M2.values, from, to, n);
            case I8 -> widenI8(from, to, n);
            case I4 -> widenI4(from, to, n);
            default -> throw new AssertionError(type);
        }
    }

    /// `n` floats at `from` as elements of `type` at `to`: to nearest even, finite values saturate.
    static void narrow(DType type, long from, long to, int n) {
        switch (type) {
            case F8E4M3 -> narrowE4M3(from, to, n);
            case F8E5M2 -> narrowE5M2(from, to, n);
            case I8 -> narrowI8(from, to, n);
            case I4 -> narrowI4(from, to, n);
            default -> throw new AssertionError(type);
        }
    }

    private static void look(float[] values, long from, long to, int n) {
        for (int i = 0; i < n; i++) {
            Mem.setFloat(to + 4L * i, values[Mem.getByte(from + i) & 0xff]);
        }
    }

    private static void narrowE4M3(long from, long to, int n) {
        int i = 0;
        for (; HAS_VECTORS && i <= n - VL; i += VL) {
            store(Format.E4M3.elements(Mem.load(from + 4L * i)), to + i);
        }
        for (; i < n; i++) {
            Mem.setByte(to + i, (byte) Format.E4M3.element(Mem.getInt(from + 4L * i)));
        }
    }

    private static void narrowE5M2(long from, long to, int n) {
        int i = 0;
        for (; HAS_VECTORS && i <= n - VL; i += VL) {
            store(Format.E5M2.elements(Mem.load(from + 4L * i)), to + i);
        }
        for (; i < n; i++) {
            Mem.setByte(to + i, (byte) Format.E5M2.element(Mem.getInt(from + 4L * i)));
        }
    }

    private static void store(IntVector elements, long to) {
        ByteVector bytes = (ByteVector) elements.convertShape(VectorOperators.I2B, B, 0);
        bytes.intoMemorySegment(ALL, to, NATIVE);
    }

    private static void widenI8(long from, long to, int n) {
        for (int i = 0; i < n; i++) {
            Mem.setFloat(to + 4L * i, Mem.getByte(from + i));
        }
    }

    private static void narrowI8(long from, long to, int n) {
        for (int i = 0; i < n; i++) {
            Mem.setByte(to + i, (byte) integer(Mem.getFloat(from + 4L * i), -127, 127));
        }
    }

    private static void widenI4(long from, long to, int n) {
        for (int i = 0; i < n; i++) {
            int two = Mem.getByte(from + (i >> 1));
            Mem.setFloat(to + 4L * i, (i & 1) == 0 ? two << 28 >> 28 : two >> 4);
        }
    }

    private static void narrowI4(long from, long to, int n) {
        for (int i = 0; i < n; i += 2) {
            int low = integer(Mem.getFloat(from + 4L * i), -8, 7);
            int high = i + 1 < n ? integer(Mem.getFloat(from + 4L * (i + 1)), -8, 7) : 0;
            Mem.setByte(to + (i >> 1), (byte) (high << 4 | low & 15));
        }
    }

    /// To nearest even, between `least` and `most`; 0 of NaN.
    private static int integer(float x, int least, int most) {
        if (Float.isNaN(x)) {
            return 0;
        }
        return (int) (Math.clamp(x, (float) least, (float) most) + ROUND - ROUND);
    }

    // ---- blocks

    /// Scales and zeros of a matrix by row and column, as [io.jacquard.tensor.spi.Scaled] has them.
    ///
    /// @param across blocks in a row of blocks
    record Grid(long scales, long zeros, int rows, int columns, int across) {
        /// Where the scale of block (`down`, `right`) lies.
        long scale(int down, int right) {
            return scales + 4L * ((long) down * across + right);
        }

        /// Turns `n` elements of row `row` from `column` on, widened at `floats`, into what they stand for.
        void apply(int row, int column, long floats, int n) {
            int down = row / rows;
            for (int i = 0; i < n; ) {
                int right = (column + i) / columns;
                int m = (int) Math.min((right + 1L) * columns - column, n) - i;
                long at = floats + 4L * i;
                if (zeros != 0) {
                    subtract(at, Mem.getByte(zeros + (long) down * across + right), m);
                }
                FloatMath.scale(at, at, Mem.getFloat(scale(down, right)), m);
                i += m;
            }
        }
    }

    private static void subtract(long x, float zero, int n) {
        for (int i = 0; i < n; i++) {
            Mem.setFloat(x + 4L * i, Mem.getFloat(x + 4L * i) - zero);
        }
    }

    /// The largest magnitude, as bits: NaN above infinity above all else.
    static int absMax(long x, int n) {
        IntVector most = IntVector.zero(I);
        int i = 0;
        for (; i <= n - VL; i += VL) {
            most = most.max(Mem.load(x + 4L * i).reinterpretAsInts().and(0x7fffffff));
        }
        int bits = most.reduceLanes(VectorOperators.MAX);
        for (; i < n; i++) {
            bits = Math.max(bits, Mem.getInt(x + 4L * i) & 0x7fffffff);
        }
        return bits;
    }

    /// `most[i] = max(most[i], |x[i]|)`, as bits.
    static void absMaxInto(long most, long x, int n) {
        for (int i = 0; i < n; i++) {
            Mem.setInt(most + 4L * i, Math.max(Mem.getInt(most + 4L * i), Mem.getInt(x + 4L * i) & 0x7fffffff));
        }
    }

    /// The scale that maps `absMax`, as bits, to the largest value of `type`; NaN of NaN.
    static float scale(int absMax, DType type) {
        float scale = Float.intBitsToFloat(absMax) / type.largest();
        return scale < Float.MIN_NORMAL ? Float.MIN_NORMAL : scale;
    }

    /// `n` floats at `from`, divided by `scale`, as elements of `type` at `to`.
    static void quantize(DType type, long from, float scale, long to, int n, long scratch) {
        FloatMath.scale(scratch, from, 1f / scale, n);
        narrow(type, scratch, to, n);
    }
}
