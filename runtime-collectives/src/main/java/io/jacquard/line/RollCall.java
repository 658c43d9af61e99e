package io.jacquard.line;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.group.Flight;
import io.jacquard.group.FlightRecorder;
import io.jacquard.group.FlightReport;
import io.jacquard.group.Operation;
import io.jacquard.group.RankState;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// How every operation begins: it is recorded, and all ranks of a collective say which one they have come to, before
/// one of them waits for data that never comes, or takes another operation's for its own. Small operands travel with
/// it.
public final class RollCall {
    /// Bytes that a rank may bring along.
    public static final int BAGGAGE = 240;

    private static final int SLOT = 256;
    private static final int HEAD = SLOT - BAGGAGE;

    private final Line line;
    private final Activity activity;
    private final FlightRecorder.Track track;
    private final int size;
    private final MemorySegment mine = Arena.global().allocate(SLOT);
    private final MemorySegment all;
    private @Nullable String failure;

    /// Of the ranks of a line.
    public RollCall(Line line) {
        this.line = line;
        this.activity = line.activity();
        this.track = activity.recorder().track(line.members().words());
        this.size = line.members().size();
        this.all = Arena.global().allocate((long) SLOT * size);
    }

    /// Where to put what this rank brings, before [#meet].
    public MemorySegment baggage(long bytes) {
        return mine.asSlice(HEAD, bytes);
    }

    /// What a rank brought.
    public MemorySegment baggage(int rank, long bytes) {
        return all.asSlice((long) SLOT * rank + HEAD, bytes);
    }

    /// @throws IllegalStateException if these ranks have failed
    public void check() {
        if (failure != null) {
            throw new IllegalStateException(failure);
        }
        activity.check();
    }

    /// Whether these ranks have failed.
    public boolean hasFailed() {
        return failure != null || activity.hasFailed();
    }

    /// The rank has called an operation.
    ///
    /// @throws IllegalStateException if these ranks have failed
    public Flight begin(Operation operation) {
        check();
        return track.begin(operation);
    }

    /// Waits for all ranks to come to the operation, and is inside it from there on.
    ///
    /// @throws IllegalStateException on every rank, with the same words, if they came to different operations
    public void meet(Flight flight) {
        check();
        flight.enter();
        activity.begin(flight);
        mine.set(JAVA_LONG, 0, 31 * flight.operation().fingerprint() + flight.number());
        line.gather(mine, all);
        for (int r = 1; r < size; r++) {
            if (all.get(JAVA_LONG, (long) SLOT * r) != all.get(JAVA_LONG, 0)) {
                throw different(flight);
            }
        }
    }

    /// Is inside an operation again, or inside one that needs no meeting.
    ///
    /// @throws IllegalStateException if these ranks have failed
    public void resume(Flight flight) {
        check();
        flight.resume();
        activity.begin(flight);
    }

    /// And outside again.
    public void end(Flight flight) {
        activity.end();
        flight.leave();
    }

    private IllegalStateException different(Flight flight) {
        List<RankState> states = states();
        end(flight);
        String why = FlightReport.different(states);
        failure = why;
        IllegalStateException thrown = new IllegalStateException(why);
        activity.known(thrown, why, states, line.rank() == 0);
        return thrown;
    }

    private List<RankState> states() {
        try (Arena arena = Arena.ofShared()) {
            MemorySegment here = arena.allocate(RankState.BYTES, Long.BYTES);
            MemorySegment theirs = arena.allocate((long) RankState.BYTES * size, Long.BYTES);
            activity.here().write(here);
            line.gather(here, theirs);
            return IntStream.range(0, size)
                    .mapToObj(r -> RankState.read(theirs.asSlice((long) RankState.BYTES * r, RankState.BYTES)))
                    .toList();
        }
    }
}
