package io.jacquard.nccl;

import io.jacquard.cuda.driver.Gpu;
import io.jacquard.cuda.driver.Nccl;
import io.jacquard.cuda.driver.SideStream;
import io.jacquard.cuda.driver.SideStream.Ticket;
import io.jacquard.group.Flight;
import io.jacquard.group.Pending;
import io.jacquard.line.Activity;
import io.jacquard.line.Activity.Source;
import io.jacquard.line.Line;
import io.jacquard.tensor.DeviceException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.IntStream;

/// The communicators of one rank. Their work runs on one stream, so in the order in which it was asked for: NCCL wants
/// all ranks to have theirs in the same.
///
/// The watchdog looks here at each round: for errors that NCCL has found by itself, for what the device is in while
/// the rank waits for it, and for a failure of the group, upon which everything is aborted and the rank's wait ends.
final class Communicators {
    private static final int IN_PROGRESS = 7;

    final Nccl nccl;
    final Gpu gpu;
    final SideStream side;
    final Activity activity;
    private final int rank;
    private final Pending[] pendings;
    private final Runnable round = this::look;
    private final List<Long> open = new ArrayList<>();

    /// Held while the library is called: what it works on must not be aborted.
    private final ReentrantLock lock = new ReentrantLock();

    private boolean closed;

    /// @param rank in the whole run
    Communicators(Nccl nccl, Gpu gpu, Activity activity, int rank) {
        this.nccl = nccl;
        this.gpu = gpu;
        this.activity = activity;
        this.rank = rank;
        this.side = gpu.openSide(activity::check);
        this.pendings = IntStream.range(0, SideStream.TICKETS)
                .mapToObj(place -> (Pending) () -> side.ticket(place).join())
                .toArray(Pending[]::new);
        activity.eachRound(round);
    }

    /// The pending that joins what the next ticket is for.
    Pending next() {
        return pendings[side.next()];
    }

    long stream() {
        return side.handle();
    }

    /// Begins a piece of work on the stream, and holds off an abort until [#end].
    void begin(Flight flight) {
        hold();
        try {
            side.begin(flight);
        } catch (RuntimeException e) {
            lock.unlock();
            throw e;
        }
    }

    private void hold() {
        lock.lock();
        if (activity.hasFailed()) { // and everything is aborted, or about to be
            lock.unlock();
            activity.check();
        }
    }

    /// What NCCL was asked for is on the stream, if it has returned 0.
    ///
    /// @throws IllegalStateException if it has not; then the group has failed
    Pending end(String function, int code, long communicator) {
        try {
            Pending pending = next();
            if (code == 0) {
                side.end();
                return pending;
            }
            throw failed(function + " behind " + latest() + ": " + nccl.words(code, communicator));
        } finally {
            lock.unlock();
        }
    }

    private IllegalStateException failed(String why) {
        activity.fail("nccl: rank " + rank + ": " + why, Source.FOUND);
        return new IllegalStateException(activity.why());
    }

    /// The first communicator: of all ranks of a line.
    long opened(MemorySegment id, Line line) {
        lock.lock();
        try {
            long communicator = nccl.open(id, line.rank(), line.members().size());
            open.add(communicator);
            return communicator;
        } catch (DeviceException e) {
            throw failed("of " + line.members().size() + " on cuda:" + gpu.ordinal() + ": " + e.getMessage());
        } finally {
            lock.unlock();
        }
    }

    /// Another one, of the ranks with the same color.
    long split(long communicator, int color, int key) {
        hold();
        try {
            long part = nccl.split(communicator, color, key);
            open.add(part);
            return part;
        } catch (DeviceException e) {
            throw failed(String.valueOf(e.getMessage()));
        } finally {
            lock.unlock();
        }
    }

    // ---- from the watchdog's thread

    private void look() {
        if (!lock.tryLock()) {
            return; // the rank is in a call, and moves
        }
        try {
            if (closed) {
                return;
            }
            if (!activity.hasFailed()) {
                gpu.makeCurrent();
                askNccl();
                boolean waits = gpu.waitingSince() != 0;
                Ticket runs = waits ? side.running() : null;
                activity.seen(waits, runs != null && runs.what() instanceof Flight flight ? flight : null);
            }
            if (activity.hasFailed()) {
                abortAll();
            }
        } finally {
            lock.unlock();
        }
    }

    private void askNccl() {
        for (long communicator : open) {
            int code = nccl.asyncError(communicator);
            if (code != 0 && code != IN_PROGRESS) {
                activity.fail(
                        "nccl: rank " + rank + " after " + latest() + ": " + nccl.words(code, communicator),
                        Source.FOUND);
                return;
            }
        }
    }

    /// What the rank has put on the device last.
    String latest() {
        Ticket last = side.latest();
        return last == null ? "the start" : String.valueOf(last.what());
    }

    private void abortAll() {
        for (long communicator : open.reversed()) {
            int _ = nccl.abort(communicator); // whatever it says: there is nothing to be done about it
        }
        open.clear();
    }

    // ---- from the rank's

    /// Ends one, whose work is done or worth nothing, unless it was ended with all.
    void close(long communicator, boolean failed) {
        lock.lock();
        try {
            if (open.remove(communicator)) {
                if (failed) {
                    int _ = nccl.abort(communicator);
                } else {
                    nccl.check("ncclCommDestroy", nccl.destroy(communicator), communicator);
                }
            }
        } finally {
            lock.unlock();
        }
    }

    /// Ends everything that still runs, since the group has failed.
    void abort() {
        lock.lock();
        try {
            abortAll();
        } finally {
            lock.unlock();
        }
    }

    /// Ends all, whose work is done or worth nothing.
    void close(boolean failed) {
        activity.noMore(round);
        lock.lock();
        try {
            if (closed) {
                return;
            }
            closed = true;
            activity.seen(false, null);
            if (failed) {
                abortAll();
            }
            for (long communicator : open.reversed()) {
                nccl.check("ncclCommDestroy", nccl.destroy(communicator), communicator);
            }
            open.clear();
            side.close();
        } finally {
            lock.unlock();
        }
    }
}
