package io.jacquard.line;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import io.jacquard.group.Processes;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.UUID;

/// The processes of all ranks. Those of one machine see when one has ended: each looks after the next one.
public final class Peers {
    /// What each rank says of its process at the start.
    public static final int BYTES = 16;

    private static final int NOBODY = -1;

    private final long[] processes;
    private final boolean[] visible;
    private final int next;

    /// @param all the [#mine] of every rank, one after the other
    public Peers(int rank, MemorySegment all) {
        int size = Math.toIntExact(all.byteSize() / BYTES);
        processes = new long[size];
        visible = new boolean[size];
        for (int r = 0; r < size; r++) {
            processes[r] = all.get(JAVA_LONG_UNALIGNED, (long) BYTES * r);
            visible[r] = !Processes.SPACE.isEmpty()
                    && all.get(JAVA_LONG_UNALIGNED, (long) BYTES * r + 8) == space()
                    && Processes.runs(processes[r]);
        }
        int found = NOBODY;
        for (int k = size - 1; k > 0; k--) {
            int r = (rank + k) % size;
            found = visible[r] && processes[r] != processes[rank] ? r : found;
        }
        next = found;
    }

    /// What this process says of itself.
    public static byte[] mine() {
        byte[] bytes = new byte[BYTES];
        MemorySegment said = MemorySegment.ofArray(bytes);
        said.set(JAVA_LONG_UNALIGNED, 0, ProcessHandle.current().pid());
        said.set(JAVA_LONG_UNALIGNED, 8, space());
        return bytes;
    }

    private static long space() {
        return UUID.nameUUIDFromBytes(Processes.SPACE.getBytes(StandardCharsets.UTF_8))
                .getMostSignificantBits();
    }

    /// Whether the process of a rank has ended, as far as can be seen from here.
    boolean isGone(int rank) {
        return visible[rank] && !Processes.runs(processes[rank]);
    }

    /// The rank that this one looks after, if its process has ended; else -1.
    int lost() {
        return next != NOBODY && isGone(next) ? next : NOBODY;
    }
}
