package io.jacquard.line;

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

    private volatile String last = "the start";
    private volatile boolean inside;
    private volatile long moved = System.nanoTime();
    private volatile @Nullable String failure;
    private volatile boolean ours;
    private volatile long heartbeat = System.nanoTime();
    private final long stuckNanos;
    private final List<Runnable> rounds = new CopyOnWriteArrayList<>();

    /// @param stuckNanos how long the watchdog may be silent
    public Activity(long stuckNanos) {
        this.stuckNanos = stuckNanos;
    }

    /// The rank is inside `operation` from here on.
    ///
    /// @throws IllegalStateException if the ranks have failed
    public void begin(String operation) {
        check();
        last = operation;
        moved = System.nanoTime();
        inside = true;
    }

    /// And outside again.
    public void end() {
        inside = false;
    }

    /// Something has arrived or left.
    public void moved() {
        moved = System.nanoTime();
    }

    /// Whether an operation is going on.
    public boolean inside() {
        return inside;
    }

    /// The operation that is going on, or was the last one.
    public String operation() {
        return last;
    }

    /// Since the operation began, or something moved.
    public long quietNanos() {
        return System.nanoTime() - moved;
    }

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

    /// The first reason stays.
    ///
    /// @param ours whether it is for this rank to tell people
    public synchronized void fail(String why, boolean ours) {
        if (failure == null) {
            this.ours = ours;
            failure = why;
        }
    }

    /// Why the rank must stop; null while all is well.
    public @Nullable String failure() {
        return failure;
    }

    /// Whether this rank is the one to tell people about the failure.
    public boolean ours() {
        return ours;
    }

    /// @throws IllegalStateException if the ranks have failed
    public void check() {
        String why = failure;
        if (why != null) {
            throw new IllegalStateException(why);
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
            fail("group: a rank was interrupted in " + last, true);
        }
        if (System.nanoTime() - heartbeat > stuckNanos) {
            fail("group: MPI does not return to the watchdog; this rank waits in " + last, true);
        }
        if (tries < YIELDS) {
            Thread.yield();
        } else {
            LockSupport.parkNanos(NAP_NANOS);
        }
    }
}
