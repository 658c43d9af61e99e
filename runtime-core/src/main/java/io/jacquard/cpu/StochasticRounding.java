package io.jacquard.cpu;

import static io.jacquard.cpu.Mem.VL;

import io.jacquard.tensor.spi.StateRounding;
import java.nio.ByteOrder;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;
import org.jspecify.annotations.Nullable;

/// [StateRounding] to BF16: floats that a kernel has in scratch, by words of [Randoms].
record StochasticRounding(long seed, Operand step, Operand origins) {
    /// Factors that bring 16 bits of a word to its upper half: the low ones, the high ones, the sum of both.
    static final int LOW = 0x10000;

    static final int HIGH = 1;
    static final int SUM = 0x10001;

    private static final int GROUP = 256;
    private static final int INFINITE = 0x7f800000;

    /// No smaller than the largest finite BF16, and no larger than what is cut to it.
    private static final int LARGEST = 0x7f7fffff;

    private static final VectorSpecies<Integer> I = VectorSpecies.of(int.class, Mem.S.vectorShape());
    private static final VectorSpecies<Short> H =
            VectorSpecies.of(short.class, VectorShape.forBitSize(Mem.S.vectorBitSize() / 2));
    private static final ByteOrder NATIVE = ByteOrder.nativeOrder();

    static @Nullable StochasticRounding of(@Nullable StateRounding r) {
        return r == null ? null : new StochasticRounding(r.seed(), Operand.of(r.step()), Operand.of(r.origins()));
    }

    /// Where the words of `n` elements from `from` on are, `from` being the first of a group.
    long words(long from, int n, Lane lane) {
        long words = lane.floats(n + 3); // whole blocks of four
        int now = Mem.getInt(step.address());
        for (int i = 0; i < n; i += GROUP) {
            long group = (from + i) / GROUP;
            Randoms.Stream stream = new Randoms.Stream(seed, now, 0, Mem.getInt(origins.at(2 * group)));
            long first = Integer.toUnsignedLong(Mem.getInt(origins.at(2 * group + 1)));
            Randoms.words(words + 4L * i, stream, first * GROUP / 4, (Math.min(GROUP, n - i) + 3) / 4);
        }
        return words;
    }

    /// `n` floats at `x`, rounded to BF16 at `to` by the 16 bits of each word that `factor` chooses.
    static void round(long x, long words, int factor, long to, int n) {
        int i = 0;
        for (; i <= n - VL; i += VL) {
            IntVector bits = IntVector.fromMemorySegment(I, Mem.ALL, x + 4L * i, NATIVE);
            IntVector random = IntVector.fromMemorySegment(I, Mem.ALL, words + 4L * i, NATIVE)
                    .mul(factor)
                    .lanewise(VectorOperators.LSHR, 16);
            IntVector magnitude = bits.and(0x7fffffff);
            VectorMask<Integer> finite = magnitude.compare(VectorOperators.LT, INFINITE);
            VectorMask<Integer> nan = magnitude.compare(VectorOperators.GT, INFINITE);
            IntVector sign = bits.and(0x80000000);
            IntVector rounded = magnitude.add(random).min(LARGEST).or(sign);
            IntVector result = bits.lanewise(VectorOperators.OR, 0x400000, nan).blend(rounded, finite);
            ShortVector h =
                    (ShortVector) result.lanewise(VectorOperators.LSHR, 16).convertShape(VectorOperators.I2S, H, 0);
            h.intoMemorySegment(Mem.ALL, to + 2L * i, NATIVE);
        }
        for (; i < n; i++) {
            int random = Mem.getInt(words + 4L * i) * factor >>> 16;
            Mem.setShort(to + 2L * i, rounded(Mem.getFloat(x + 4L * i), random));
        }
    }

    private static short rounded(float x, int random) {
        if (!Float.isFinite(x)) {
            return Convert.floatToBf16(x);
        }
        int bits = Float.floatToRawIntBits(x);
        return (short) ((Math.min((bits & 0x7fffffff) + random, LARGEST) | bits & 0x80000000) >>> 16);
    }
}
