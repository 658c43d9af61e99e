package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/// A second stream of a [Gpu], for work that may run beside the first. Between [#begin] and [#end] a piece of work is
/// put on it, which starts behind what was launched until then; what is launched after its [Ticket#join] starts behind
/// it. Inside a capture that becomes a branch of the graph.
///
/// Tickets are used in turn, so that a piece of work allocates nothing. Whoever joins one that has been used again
/// waits for later work than he asked for, and for his own.
///
/// **Thread**: that of the device, but for [#running].
public final class SideStream implements AutoCloseable {
    /// Pieces of work that can be told apart.
    public static final int TICKETS = 64;

    private static final int NON_BLOCKING = 1;
    private static final int DISABLE_TIMING = 2;

    private final Gpu gpu;
    private final Runnable afterWait;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment result = arena.allocate(JAVA_LONG);
    private final long stream;
    private final long fork;
    private final Ticket[] tickets = new Ticket[TICKETS];
    private volatile long count;
    private boolean closed;

    /// One piece of work.
    public final class Ticket {
        private final long begun;
        private final long done;
        private boolean captured;
        private boolean joined = true;
        private volatile @Nullable Object what;

        private Ticket() {
            begun = event();
            done = event();
        }

        /// What is launched from here on starts behind the work. The second time does nothing.
        ///
        /// @throws IllegalStateException inside a capture that the work is not in
        public void join() {
            if (joined) {
                return;
            }
            if (gpu.isCapturing() && !captured) {
                throw new IllegalStateException("join: " + what + " was started before the capture in which it is"
                        + " joined; join it before the capture");
            }
            gpu.check(Calls.streamWaitEvent(gpu.stream(), done, 0), "cuStreamWaitEvent");
            joined = true;
        }

        /// What it was begun with.
        public @Nullable Object what() {
            return what;
        }
    }

    SideStream(Gpu gpu, Runnable afterWait) {
        this.gpu = gpu;
        this.afterWait = afterWait;
        gpu.check(Calls.streamCreate(result.address(), NON_BLOCKING), "cuStreamCreate");
        stream = result.get(JAVA_LONG, 0);
        fork = event();
        for (int i = 0; i < TICKETS; i++) {
            tickets[i] = new Ticket();
        }
    }

    private long event() {
        gpu.check(Calls.eventCreate(result.address(), DISABLE_TIMING), "cuEventCreate");
        return result.get(JAVA_LONG, 0);
    }

    /// The CUstream.
    public long handle() {
        return stream;
    }

    /// The ticket that [#begin] will give, by its place in the turn, 0 to [#TICKETS] - 1.
    public int next() {
        return (int) (count % TICKETS);
    }

    /// The ticket at a place in the turn.
    public Ticket ticket(int place) {
        return tickets[place];
    }

    /// What is put on the stream from here to [#end] starts behind what was launched so far.
    ///
    /// @param what it is, for people
    public void begin(Object what) {
        Ticket t = tickets[next()];
        gpu.check(Calls.eventRecord(fork, gpu.stream()), "cuEventRecord");
        gpu.check(Calls.streamWaitEvent(stream, fork, 0), "cuStreamWaitEvent");
        t.captured = gpu.isCapturing();
        t.what = what;
        if (!t.captured) {
            gpu.check(Calls.eventRecord(t.begun, stream), "cuEventRecord");
        }
    }

    /// The piece of work is complete.
    public void end() {
        Ticket t = tickets[next()];
        gpu.check(Calls.eventRecord(t.done, stream), "cuEventRecord");
        t.joined = false;
        long ended = count;
        count = ended + 1;
    }

    /// What the device is busy with on this stream: begun, and not done. Null when there is nothing, or only what
    /// graphs run. Any thread with the device current may ask while the device's own waits.
    public @Nullable Ticket running() {
        long last = count;
        for (long n = Math.max(0, last - TICKETS); n < last; n++) {
            Ticket t = tickets[(int) (n % TICKETS)];
            if (!t.captured && Calls.eventQuery(t.done) == Gpu.NOT_READY) {
                return Calls.eventQuery(t.begun) == 0 ? t : null;
            }
        }
        return null;
    }

    /// The piece of work that was put on it last; null before the first. Any thread may ask.
    public @Nullable Ticket latest() {
        long last = count;
        return last == 0 ? null : tickets[(int) ((last - 1) % TICKETS)];
    }

    /// A capture ends: its branches come together, and none can be joined later. The last piece of work stands for
    /// all.
    void joinCaptured() {
        long last = count;
        for (long n = last - 1; n >= Math.max(0, last - TICKETS); n--) {
            Ticket t = tickets[(int) (n % TICKETS)];
            if (t.captured && !t.joined) {
                t.join();
                break;
            }
        }
        forgetCaptured();
    }

    void forgetCaptured() {
        for (Ticket t : tickets) {
            t.joined |= t.captured;
        }
    }

    void checkAfterWait() {
        afterWait.run();
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        int _ = Calls.streamSynchronize(stream);
        for (Ticket t : tickets) {
            int _ = Calls.eventDestroy(t.begun);
            int _ = Calls.eventDestroy(t.done);
        }
        int _ = Calls.eventDestroy(fork);
        int _ = Calls.streamDestroy(stream);
        arena.close();
        gpu.closed(this);
    }
}
