package io.jacquard.line;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/// What one watchdog writes to another.
///
/// @param inside of an operation
/// @param quietNanos since something moved there
public record Letter(Kind kind, boolean inside, long quietNanos, String text) {
    /// What a letter takes at most; longer texts are cut.
    public static final int BYTES = 2048;

    private static final int TEXT = 24;

    /// What it is about.
    public enum Kind {
        /// Where are you?
        ASK,
        /// The answer.
        STATUS,
        /// The group has failed.
        FAIL,
        /// The last one.
        BYE
    }

    /// Writes it into [#BYTES] bytes.
    public void write(MemorySegment to) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        bytes = bytes.length > BYTES - TEXT ? Arrays.copyOf(bytes, BYTES - TEXT) : bytes;
        to.set(JAVA_INT_UNALIGNED, 0, kind.ordinal());
        to.set(JAVA_INT_UNALIGNED, 4, inside ? 1 : 0);
        to.set(JAVA_INT_UNALIGNED, 8, bytes.length);
        to.set(JAVA_LONG_UNALIGNED, 16, quietNanos);
        MemorySegment.copy(MemorySegment.ofArray(bytes), 0, to, TEXT, bytes.length);
    }

    /// What [#write] has written.
    public static Letter read(MemorySegment from) {
        byte[] text = new byte[from.get(JAVA_INT_UNALIGNED, 8)];
        MemorySegment.copy(from, TEXT, MemorySegment.ofArray(text), 0, text.length);
        return new Letter(
                Kind.values()[from.get(JAVA_INT_UNALIGNED, 0)],
                from.get(JAVA_INT_UNALIGNED, 4) != 0,
                from.get(JAVA_LONG_UNALIGNED, 16),
                new String(text, StandardCharsets.UTF_8));
    }
}
