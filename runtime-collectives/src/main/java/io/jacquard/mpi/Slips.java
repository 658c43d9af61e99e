package io.jacquard.mpi;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.tensor.Tensor;
import java.lang.foreign.MemorySegment;

/// What goes before each message between two ranks: size and dtype, so that the receiver can refuse another one.
final class Slips {
    static final int BYTES = 128;

    private static final int TEXT = 16;

    private final HostBuffer buffer = new HostBuffer();
    private MemorySegment slips = MemorySegment.NULL;

    void reserve(int count) {
        slips = buffer.atLeast((long) count * BYTES);
    }

    long address(int i) {
        return slips.address() + (long) i * BYTES;
    }

    void write(int i, Tensor t) {
        MemorySegment slip = slips.asSlice((long) i * BYTES, BYTES);
        slip.set(JAVA_LONG, 0, t.size());
        slip.set(JAVA_INT, 8, t.dtype().ordinal());
        String words = t.toString();
        slip.setString(TEXT, words.substring(0, Math.min(words.length(), BYTES - TEXT - 1)));
    }

    boolean fits(int i, Tensor t) {
        MemorySegment slip = slips.asSlice((long) i * BYTES, BYTES);
        return slip.get(JAVA_LONG, 0) == t.size()
                && slip.get(JAVA_INT, 8) == t.dtype().ordinal();
    }

    String words(int i) {
        return slips.getString((long) i * BYTES + TEXT);
    }
}
