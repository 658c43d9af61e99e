package io.jacquard.mpi;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// What goes before a message between two ranks: size and dtype, so that the receiver can refuse another one.
final class Slip {
    static final int BYTES = 128;

    private static final int TEXT = 16;

    private final MemorySegment memory = Arena.global().allocate(BYTES, Long.BYTES);

    long address() {
        return memory.address();
    }

    void write(Tensor t) {
        memory.set(JAVA_LONG, 0, t.size());
        memory.set(JAVA_INT, 8, t.dtype().ordinal());
        String words = t.toString();
        memory.setString(TEXT, words.substring(0, Math.min(words.length(), BYTES - TEXT - 1)));
    }

    boolean fits(Tensor t) {
        return memory.get(JAVA_LONG, 0) == t.size()
                && memory.get(JAVA_INT, 8) == t.dtype().ordinal();
    }

    String words() {
        return memory.getString(TEXT);
    }
}
