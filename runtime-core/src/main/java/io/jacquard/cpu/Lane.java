package io.jacquard.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// What one thread needs while it runs chunks: scratch memory, kept warm between chunks, and its oneDNN primitives.
final class Lane {
    private static final long ALIGNMENT = 64;

    private final List<MemorySegment> outgrown = new ArrayList<>();
    private MemorySegment block = MemorySegment.NULL;
    private long used;
    final Map<MatmulPrimitive.Key, MatmulPrimitive> primitives = new HashMap<>();

    /// The present state, for [#release].
    long mark() {
        return used;
    }

    /// Gives back what was taken since [#mark].
    void release(long mark) {
        used = mark;
    }

    /// Room for `n` floats, aligned to a cache line, until the chunk ends.
    long floats(long n) {
        return bytes(4 * n);
    }

    /// Room for `n` bytes, aligned to a cache line, until the chunk ends.
    long bytes(long n) {
        // one cache line more: row kernels may store whole vectors past a row's end
        long rounded = (n + 2 * ALIGNMENT - 1) & -ALIGNMENT;
        if (used + rounded > block.byteSize()) {
            // what was handed out stays valid until the lane is idle; automatic arenas live as long as their segments
            outgrown.add(block);
            long size = Math.max(2 * block.byteSize(), Math.max(used + rounded, 1 << 20));
            block = Arena.ofAuto().allocate(size, ALIGNMENT);
        }
        long address = block.address() + used;
        used += rounded;
        return address;
    }

    /// Called between launches: nothing is handed out any more.
    void idle() {
        used = 0;
        outgrown.clear();
    }
}
