package io.jacquard.line;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.jacquard.group.RankState;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/// What one watchdog writes to another.
///
/// @param why of [Kind#FAIL]
/// @param state of [Kind#STATUS]
public record Letter(Kind kind, String why, @Nullable RankState state) {
    /// What a letter takes at most; longer texts are cut.
    public static final int BYTES = 2048;

    private static final int CONTENT = 8;
    private static final Kind[] KINDS = Kind.values();

    /// What it is about.
    public enum Kind {
        /// Where are you?
        ASK,
        /// The answer.
        STATUS,
        /// The process is about to end, because it was asked to, or asks for it: it was not killed.
        LEAVE,
        /// The group has failed.
        FAIL,
        /// The last one.
        BYE
    }

    static Letter of(Kind kind) {
        return new Letter(kind, "", null);
    }

    static Letter of(RankState state) {
        return new Letter(Kind.STATUS, "", state);
    }

    static Letter fail(String why) {
        return new Letter(Kind.FAIL, why, null);
    }

    /// Writes it into [#BYTES] bytes.
    public void write(MemorySegment to) {
        MemorySegment letter = aligned();
        letter.set(JAVA_INT, 0, kind.ordinal());
        if (state != null) {
            state.write(letter.asSlice(CONTENT));
        } else {
            letter.asSlice(CONTENT).setString(0, why.substring(0, Math.min(why.length(), (BYTES - CONTENT) / 4)));
        }
        to.copyFrom(letter);
    }

    /// What [#write] has written.
    public static Letter read(MemorySegment from) {
        MemorySegment letter = aligned().copyFrom(from);
        Kind kind = KINDS[letter.get(JAVA_INT, 0)];
        return switch (kind) {
            case STATUS -> of(RankState.read(letter.asSlice(CONTENT)));
            case FAIL -> fail(letter.getString(CONTENT));
            case ASK, LEAVE, BYE -> of(kind);
        };
    }

    private static MemorySegment aligned() {
        return MemorySegment.ofArray(new long[BYTES / Long.BYTES]);
    }
}
