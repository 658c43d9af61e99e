package io.jacquard.nccl;

import io.jacquard.cuda.driver.Gpu;
import io.jacquard.cuda.driver.Nccl;
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
import org.jspecify.annotations.Nullable;

/// The communicators of one rank.
///
/// The watchdog looks here at each round: for errors that NCCL has found by itself, for what the device is in while
/// the rank waits for it, and for a failure of the group, upon which everything is aborted and the rank's wait ends.
final class Communicators {
    private static final int IN_PROGRESS = 7;

    final Nccl nccl;
    final Gpu gpu;
    final Activity activity;
    private final int rank;
    private final Runnable round = this::look;
    private final List<Communicator> open = new ArrayList<>();
    private final List<Communicator> aborted = new ArrayList<>();

    /// Held while the library is called: what it works on must not be aborted.
    private final ReentrantLock lock = new ReentrantLock();

    private boolean closed;

    /// @param rank in the whole run
    Communicators(Nccl nccl, Gpu gpu, Activity activity, int rank) {
        this.nccl = nccl;
        this.gpu = gpu;
        this.activity = activity;
        this.rank = rank;
        activity.eachRound(round);
    }

    /// Begins a piece of work on the communicator's stream, and holds off an abort until [#end].
    void begin(Communicator communicator, Flight flight) {
        hold();
        try {
            communicator.side.begin(flight);
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
    Pending end(Communicator communicator, String function, int code) {
        try {
            Pending pending = communicator.next();
            if (code == 0) {
                communicator.side.end();
                return pending;
            }
            throw failed(function + " behind " + communicator.latest() + ": " + nccl.words(code, communicator.handle));
        } finally {
            lock.unlock();
        }
    }

    private IllegalStateException failed(String why) {
        activity.fail("nccl: rank " + rank + ": " + why, Source.FOUND);
        return new IllegalStateException(activity.why());
    }

    /// The first communicator: of all ranks of a line.
    Communicator opened(MemorySegment id, Line line) {
        lock.lock();
        try {
            return keep(nccl.open(id, line.rank(), line.members().size()));
        } catch (DeviceException e) {
            throw failed("of " + line.members().size() + " on cuda:" + gpu.ordinal() + ": " + e.getMessage());
        } finally {
            lock.unlock();
        }
    }

    /// Another one, of the ranks with the same color.
    Communicator split(Communicator communicator, int color, int key) {
        hold();
        try {
            return keep(nccl.split(communicator.handle, color, key));
        } catch (DeviceException e) {
            throw failed(String.valueOf(e.getMessage()));
        } finally {
            lock.unlock();
        }
    }

    private Communicator keep(long handle) {
        Communicator communicator = new Communicator(handle, gpu.openSide(activity::check));
        open.add(communicator);
        return communicator;
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
                activity.seen(waits, waits ? running() : null);
            }
            if (activity.hasFailed()) {
                abortAll();
            }
        } finally {
            lock.unlock();
        }
    }

    private void askNccl() {
        for (Communicator c : open) {
            int code = nccl.asyncError(c.handle);
            if (code != 0 && code != IN_PROGRESS) {
                activity.fail(
                        "nccl: rank " + rank + " after " + c.latest() + ": " + nccl.words(code, c.handle),
                        Source.FOUND);
                return;
            }
        }
    }

    private @Nullable Flight running() {
        for (Communicator c : open) {
            Ticket runs = c.side.running();
            if (runs != null && runs.what() instanceof Flight flight) {
                return flight;
            }
        }
        return null;
    }

    /// The streams stay until the rank's thread closes them.
    private void abortAll() {
        for (Communicator c : open.reversed()) {
            int _ = nccl.abort(c.handle); // whatever it says: there is nothing to be done about it
        }
        aborted.addAll(open);
        open.clear();
    }

    // ---- from the rank's

    /// Ends one, whose work is done or worth nothing, unless it was ended with all.
    void close(Communicator communicator, boolean failed) {
        lock.lock();
        try {
            if (open.remove(communicator)) {
                if (failed) {
                    int _ = nccl.abort(communicator.handle);
                } else {
                    nccl.check("ncclCommDestroy", nccl.destroy(communicator.handle), communicator.handle);
                }
                communicator.side.close();
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
            List.copyOf(open).reversed().forEach(c -> close(c, false));
            aborted.forEach(c -> c.side.close());
        } finally {
            lock.unlock();
        }
    }
}
