package io.jacquard.line;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.StringJoiner;

/// How every collective begins: all ranks say which operation they have come to, before one of them waits for
/// data that never comes, or takes another operation's for its own. Small operands travel with it.
public final class RollCall {
    /// Bytes that a rank may bring along.
    public static final int BAGGAGE = 240;

    private static final int SLOT = 256;
    private static final int HEAD = SLOT - BAGGAGE;

    private final Line line;
    private final int size;
    private final MemorySegment mine = Arena.global().allocate(SLOT);
    private final MemorySegment all;

    /// Of the ranks of a line.
    public RollCall(Line line) {
        this.line = line;
        this.size = line.members().size();
        this.all = Arena.global().allocate((long) SLOT * size);
    }

    /// Where to put what this rank brings, before [#call].
    public MemorySegment baggage(long bytes) {
        return mine.asSlice(HEAD, bytes);
    }

    /// What a rank brought.
    public MemorySegment baggage(int rank, long bytes) {
        return all.asSlice((long) SLOT * rank + HEAD, bytes);
    }

    /// Waits for all.
    ///
    /// @param number how many operations this group has had, this one included
    /// @throws IllegalStateException on every rank, with the same words, if they came to different operations
    public void call(long number, String operation) {
        mine.set(JAVA_LONG, 0, 31 * hash(operation) + number);
        line.gather(mine, all);
        for (int r = 1; r < size; r++) {
            if (all.get(JAVA_LONG, (long) SLOT * r) != all.get(JAVA_LONG, 0)) {
                throw new IllegalStateException(
                        "group: ranks came to different operations: " + names(number, operation));
            }
        }
    }

    private String names(long number, String operation) {
        byte[] text = ("#" + number + " " + operation).getBytes(StandardCharsets.UTF_8);
        mine.fill((byte) 0);
        MemorySegment.copy(MemorySegment.ofArray(text), 0, mine, 0, Math.min(text.length, SLOT - 1));
        line.gather(mine, all);
        StringJoiner names = new StringJoiner("; ");
        for (int r = 0; r < size; r++) {
            names.add("rank " + r + " " + all.getString((long) SLOT * r));
        }
        return names.toString();
    }

    /// FNV-1a, 64 bits.
    private static long hash(String text) {
        long hash = 0xcbf29ce484222325L;
        for (int i = 0; i < text.length(); i++) {
            hash = (hash ^ text.charAt(i)) * 0x100000001b3L;
        }
        return hash;
    }
}
