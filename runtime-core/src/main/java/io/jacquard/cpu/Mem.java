package io.jacquard.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/// Raw memory by absolute address, as floats and float vectors.
@SuppressWarnings("restricted")
final class Mem {
    /// All of memory: kernels get addresses, and a segment per tensor would be made per launch.
    static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    static final int VL = S.length();
    static final int VECTOR_BYTES = 4 * VL;
    private static final ByteOrder NATIVE = ByteOrder.nativeOrder();
    private static final VectorShuffle<Float> HALF = VectorShuffle.iota(S, VL / 2, 1, true);
    private static final VectorShuffle<Float> QUARTER = VectorShuffle.iota(S, VL / 4, 1, true);
    private static final VectorShuffle<Float> EIGHTH = VectorShuffle.iota(S, VL / 8, 1, true);
    private static final VectorShuffle<Float> SIXTEENTH = VectorShuffle.iota(S, VL / 16, 1, true);

    private Mem() {}

    static FloatVector load(long address) {
        return FloatVector.fromMemorySegment(S, ALL, address, NATIVE);
    }

    static FloatVector load(long address, VectorMask<Float> mask) {
        return FloatVector.fromMemorySegment(S, ALL, address, NATIVE, mask);
    }

    static void store(FloatVector v, long address) {
        v.intoMemorySegment(ALL, address, NATIVE);
    }

    static void store(FloatVector v, long address, VectorMask<Float> mask) {
        v.intoMemorySegment(ALL, address, NATIVE, mask);
    }

    static VectorMask<Float> tail(int from, int n) {
        return S.indexInRange(from, n);
    }

    static FloatVector all(float value) {
        return FloatVector.broadcast(S, value);
    }

    static float getFloat(long address) {
        return ALL.get(ValueLayout.JAVA_FLOAT, address);
    }

    static void setFloat(long address, float value) {
        ALL.set(ValueLayout.JAVA_FLOAT, address, value);
    }

    static int getInt(long address) {
        return ALL.get(ValueLayout.JAVA_INT, address);
    }

    static void setInt(long address, int value) {
        ALL.set(ValueLayout.JAVA_INT, address, value);
    }

    static short getShort(long address) {
        return ALL.get(ValueLayout.JAVA_SHORT, address);
    }

    static void setShort(long address, short value) {
        ALL.set(ValueLayout.JAVA_SHORT, address, value);
    }

    static byte getByte(long address) {
        return ALL.get(ValueLayout.JAVA_BYTE, address);
    }

    static void setByte(long address, byte value) {
        ALL.set(ValueLayout.JAVA_BYTE, address, value);
    }

    static void zero(long address, long bytes) {
        ALL.asSlice(address, bytes).fill((byte) 0);
    }

    static void copy(long from, long to, long bytes) {
        MemorySegment.copy(ALL, from, ALL, to, bytes);
    }

    /// The sum of the lanes in a fixed order: `reduceLanes` leaves the order open, and the interpreter's differs
    /// from C2's.
    static float sumLanes(FloatVector v) {
        FloatVector s = v.add(v.rearrange(HALF));
        if (VL >= 4) {
            s = s.add(s.rearrange(QUARTER));
        }
        if (VL >= 8) {
            s = s.add(s.rearrange(EIGHTH));
        }
        if (VL >= 16) {
            s = s.add(s.rearrange(SIXTEENTH));
        }
        return s.lane(0);
    }

    static float maxLanes(FloatVector v) {
        return v.reduceLanes(VectorOperators.MAX);
    }
}
