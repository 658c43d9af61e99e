package io.jacquard.line;

import io.jacquard.group.Flight;
import io.jacquard.group.FlightRecorder;
import io.jacquard.group.Pulse;
import io.jacquard.group.RankState;
import io.jacquard.group.RankState.Doing;
import io.jacquard.group.Watch;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/// What the rank's thread is doing, and why it must stop: written by that thread, read by the [Watchdog], and the
/// other way round.
public final class Activity {
    /// Polls without giving the processor away: some 100 µs, longer than a small message takes.
    private static final int SPINS = 500;

    /// Polls before the thread sleeps in between: some 20 ms, longer than most ranks are apart.
    private static final int YIELDS = 20_000;

    private static final long NAP_NANOS = 50_000;
    private static final int FLIGHTS = 6;

    /// Why the ranks have failed.
    ///
    /// @param states where they were; null if they are still to be asked
    record Failure(String why, Source source, @Nullable List<RankState> states) {}

    /// Who found a failure: that is who tells people.
    public enum Source {
        /// The watchdog of this rank, or its thread in an operation.
        FOUND,
        /// The rank's own work threw.
        OWN,
        /// Another rank.
        TOLD
    }

    private final FlightRecorder recorder;
    private final Pulse pulse;
    private final long stuckNanos;
    private final List<Runnable> rounds = new CopyOnWriteArrayList<>();
    private volatile @Nullable Flight flight;
    private volatile boolean inside;
    private volatile @Nullable Flight seen;
    private volatile boolean waitsForDevice;
    private volatile long moved = System.nanoTime();
    private volatile long heartbeat = System.nanoTime();
    private volatile @Nullable Failure failure;
    private boolean claimed;
    private volatile @Nullable Throwable known;
    private volatile @Nullable Failure knownFailure;

    /// That of rank `rank` of `size`, which calls this itself.
    public Activity(int rank, int size, Watch watch) {
        recorder = FlightRecorder.of(watch.directory(), rank, size);
        pulse = Pulse.ofThisThread(recorder);
        stuckNanos = 3 * watch.timeout().toNanos();
    }

    /// What this rank has done.
    public FlightRecorder recorder() {
        return recorder;
    }

    Pulse pulse() {
        return pulse;
    }

    // ---- operations

    /// The rank is inside an operation from here on.
    ///
    /// @throws IllegalStateException if the ranks have failed
    public void begin(Flight operation) {
        check();
        flight = operation;
        operation.waits(true);
        moved = System.nanoTime();
        inside = true;
    }

    /// And outside again.
    public void end() {
        inside = false;
        moved = System.nanoTime();
        Flight operation = flight;
        if (operation != null) {
            operation.waits(false);
        }
    }

    /// Something has arrived or left.
    public void moved() {
        moved = System.nanoTime();
    }

    /// What the watchdog itself has seen of a rank whose device works behind it.
    ///
    /// @param waits whether the rank waits for its device
    /// @param runs the operation that the device is in meanwhile; null if it computes, or nobody can tell
    public void seen(boolean waits, @Nullable Flight runs) {
        Flight before = seen;
        if (waits && !waitsForDevice) {
            moved = System.nanoTime();
        }
        waitsForDevice = waits;
        if (runs == before) {
            return;
        }
        if (before != null) {
            before.waits(false);
            before.leave();
        }
        if (runs != null) {
            runs.resume();
            runs.waits(true);
            moved = System.nanoTime();
        }
        seen = runs;
    }

    /// Whether an operation is going on.
    public boolean inside() {
        return inside || seen != null;
    }

    /// Whether the rank waits: in an operation, or for its device, which may be in one.
    boolean waits() {
        return inside() || waitsForDevice;
    }

    /// Since something moved, or the last operation began or ended.
    public long quietNanos() {
        return System.nanoTime() - moved;
    }

    /// What this rank says of itself.
    RankState here() {
        Failure f = failure;
        boolean failed = f != null && f.source == Source.OWN;
        boolean waits = inside() && !failed;
        return new RankState(
                recorder.rank(),
                failed ? Doing.FAILED : waits ? Doing.WAITS : Doing.COMPUTES,
                quietNanos(),
                waits() ? 0 : pulse.circlingNanos(), // drivers wait in a circle
                recorder.last(FLIGHTS),
                waits || failed ? "" : pulse.where());
    }

    // ---- the watchdog's rounds

    void beat() {
        heartbeat = System.nanoTime();
        rounds.forEach(Runnable::run);
    }

    /// From here on the watchdog runs `round`, too, each time it looks round: some twenty times a second.
    public void eachRound(Runnable round) {
        rounds.add(round);
    }

    /// Takes back [#eachRound].
    public void noMore(Runnable round) {
        rounds.remove(round);
    }

    // ---- failure

    /// The ranks have failed. The first reason stays.
    public void fail(String why, Source source) {
        fail(new Failure(why, source, null));
    }

    synchronized void fail(Failure first) {
        failure = failure == null ? first : failure;
    }

    /// Another rank says that the ranks have failed. If this one has found so, too, the lower one tells people.
    synchronized void told(String why, boolean byLower) {
        if (failure == null || byLower && !claimed) {
            failure = new Failure(why, Source.TOLD, null);
        }
    }

    /// The ranks of one group have found the same failure, which `thrown` says to their work; it is that of all
    /// ranks if the work does not catch it. One of them is to tell people.
    void known(Throwable thrown, String why, List<RankState> states, boolean ours) {
        knownFailure = new Failure(why, ours ? Source.FOUND : Source.TOLD, states);
        known = thrown;
    }

    /// The rank's work has thrown. If the ranks had failed before, that is the reason.
    @SuppressWarnings("ReferenceEquality") // this very one
    public void failBy(Throwable thrown, String why) {
        Failure found = knownFailure;
        fail(found != null && thrown == known ? found : new Failure(why, Source.OWN, null));
    }

    /// Whether it is for this rank to tell people, which happens once.
    synchronized boolean claim() {
        boolean ours = !claimed && failure != null && failure.source != Source.TOLD;
        claimed |= ours;
        return ours;
    }

    @Nullable
    Failure failure() {
        return failure;
    }

    /// Why the ranks have failed; null while they have not.
    public @Nullable String why() {
        Failure f = failure;
        return f == null ? null : f.why;
    }

    /// Whether the ranks have failed.
    public boolean hasFailed() {
        return failure != null;
    }

    /// @throws IllegalStateException if the ranks have failed
    public void check() {
        Failure f = failure;
        if (f != null) {
            throw new IllegalStateException(f.why);
        }
    }

    /// Between two looks at a request. Polite: ranks may share processors, and a library that spins in its own wait
    /// makes the others' messages take milliseconds.
    @SuppressWarnings("ThreadPriorityCheck") // whoever has the processor next may be who we wait for
    public void pause(long tries) {
        if (tries < SPINS) {
            Thread.onSpinWait();
            return;
        }
        check();
        if (Thread.currentThread().isInterrupted()) {
            fail("group: a rank was interrupted in " + flight, Source.FOUND);
        }
        if (System.nanoTime() - heartbeat > stuckNanos) {
            fail("group: the watchdog is stuck, MPI may not return to it; this rank waits in " + flight, Source.FOUND);
        }
        if (tries < YIELDS) {
            Thread.yield();
            return;
        }
        Flight operation = flight;
        if (tries == YIELDS && operation != null) {
            operation.locate();
        }
        LockSupport.parkNanos(NAP_NANOS);
    }
}
