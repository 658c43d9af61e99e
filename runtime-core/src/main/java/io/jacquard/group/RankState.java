package io.jacquard.group;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What is known of a rank when something goes wrong.
///
/// @param quietNanos how long nothing has moved for it
/// @param circlingNanos how long it has computed in a circle ([Pulse])
/// @param flights its last operations, oldest first
/// @param where its thread is, if it computes; empty if that is not known
public record RankState(
        int rank, Doing doing, long quietNanos, long circlingNanos, List<FlightEntry> flights, String where) {
    /// What a rank does.
    public enum Doing {
        /// It waits in an operation.
        WAITS("waits"),
        /// It has left the last operation and has not begun another.
        COMPUTES("computes"),
        /// It does not answer. What is known of its operations is in its recorder.
        SILENT("silent"),
        /// It does not answer. Its last operation is the last one that another rank did with it.
        UNKNOWN("silent, seen"),
        /// Its process, or thread, has ended.
        ENDED("ended"),
        /// It ended in an error of its own.
        FAILED("failed");

        private final String word;

        Doing(String word) {
            this.word = word;
        }
    }

    /// Bytes of [#write].
    public static final int BYTES = 1920;

    private static final int HEAD = 32;
    private static final int FLIGHTS = 6;
    private static final Doing[] DOINGS = Doing.values();

    /// Where the rank is: the operation that it waits in, or the newest one; null if it had none.
    public @Nullable FlightEntry place() {
        for (FlightEntry f : flights) {
            if (f.waits()) {
                return f;
            }
        }
        return flights.isEmpty() ? null : flights.getLast();
    }

    /// `waits in`, `computes after`.
    String words() {
        FlightEntry place = place();
        boolean inside = place != null && (place.waits() || doing == Doing.UNKNOWN);
        return doing.word + (place == null ? "" : inside ? " in" : " after");
    }

    /// For another rank; what does not fit is left out.
    public void write(MemorySegment to) {
        List<FlightEntry> newest = flights.subList(Math.max(0, flights.size() - FLIGHTS), flights.size());
        to.set(JAVA_INT, 0, rank);
        to.set(JAVA_INT, 4, doing.ordinal());
        to.set(JAVA_LONG, 8, quietNanos);
        to.set(JAVA_LONG, 16, circlingNanos);
        to.set(JAVA_INT, 24, newest.size());
        long at = HEAD;
        for (FlightEntry f : newest) {
            FlightMemory.write(to.asSlice(at, FlightMemory.SLOT), f);
            at += FlightMemory.SLOT;
        }
        byte[] text = where.getBytes(StandardCharsets.UTF_8);
        int length = (int) Math.min(text.length, BYTES - at);
        to.set(JAVA_INT, 28, length);
        MemorySegment.copy(MemorySegment.ofArray(text), 0, to, at, length);
    }

    /// What another rank wrote.
    public static RankState read(MemorySegment from) {
        List<FlightEntry> flights = new ArrayList<>();
        long at = HEAD;
        for (int i = 0; i < from.get(JAVA_INT, 24); i++) {
            FlightEntry f = FlightMemory.read(from.asSlice(at, FlightMemory.SLOT));
            if (f != null) {
                flights.add(f);
            }
            at += FlightMemory.SLOT;
        }
        return new RankState(
                from.get(JAVA_INT, 0),
                DOINGS[from.get(JAVA_INT, 4)],
                from.get(JAVA_LONG, 8),
                from.get(JAVA_LONG, 16),
                List.copyOf(flights),
                FlightMemory.text(from, at, from.get(JAVA_INT, 28)));
    }
}
