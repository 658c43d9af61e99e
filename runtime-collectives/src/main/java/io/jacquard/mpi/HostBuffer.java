package io.jacquard.mpi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Host memory that grows when more is asked for, and then lies elsewhere. It lives as long as its group: until the
/// process ends, since MPI cannot be opened again.
final class HostBuffer {
    private Arena arena = fresh();
    private MemorySegment memory = MemorySegment.NULL;

    @SuppressWarnings("MustBeClosed") // closed by the next one
    private static Arena fresh() {
        return Arena.ofShared();
    }

    /// At least so many bytes; what was there before stays.
    MemorySegment atLeast(long bytes) {
        if (bytes > memory.byteSize()) {
            Arena wider = fresh();
            MemorySegment more = wider.allocate(Math.max(bytes, 2 * memory.byteSize()), 64);
            more.copyFrom(memory);
            arena.close();
            arena = wider;
            memory = more;
        }
        return memory;
    }
}
