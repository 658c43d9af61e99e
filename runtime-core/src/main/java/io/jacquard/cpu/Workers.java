package io.jacquard.cpu;

import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/// The threads of the process that run chunks. The calling thread takes part. When another session's launch has the
/// threads, the caller does its chunks alone: waiting would not be faster on busy cores.
final class Workers {
    /// One chunk of a launch. What a chunk computes must not depend on the thread that runs it.
    interface Chunk {
        void run(int chunk, Lane lane);
    }

    private static final int SPINS = 1000;
    private static final Workers SHARED = new Workers(configuredThreads());

    private final AtomicBoolean busy = new AtomicBoolean();
    private final ConcurrentLinkedDeque<Lane> idleLanes = new ConcurrentLinkedDeque<>();
    private final Worker[] helpers;
    private volatile @Nullable Job current;
    private volatile boolean stopped;

    Workers(int threads) {
        helpers = new Worker[threads - 1];
        for (int i = 0; i < helpers.length; i++) {
            helpers[i] = new Worker(i + 1);
            helpers[i].thread.start();
        }
    }

    static Workers shared() {
        return SHARED;
    }

    private static int configuredThreads() {
        String text = System.getProperty("jacquard.threads", System.getenv("JACQUARD_THREADS"));
        if (text == null || text.isBlank()) {
            return Runtime.getRuntime().availableProcessors();
        }
        try {
            int n = Integer.parseInt(text.strip());
            if (n >= 1) {
                return n;
            }
        } catch (NumberFormatException e) {
            // falls through to the message below
        }
        throw new IllegalArgumentException("JACQUARD_THREADS: '" + text + "' is not a number of threads (1 or more)");
    }

    int threads() {
        return helpers.length + 1;
    }

    /// Ends the helper threads; for pools made by tests.
    void stop() {
        stopped = true;
        for (Worker w : helpers) {
            LockSupport.unpark(w.thread);
        }
    }

    /// Runs chunks 0 to `chunks` - 1, in any order, and returns when all are done.
    void run(int chunks, Chunk body) {
        if (chunks <= 0) {
            return;
        }
        Lane lane = borrow();
        try {
            run(chunks, body, lane);
        } finally {
            giveBack(lane);
        }
    }

    /// As [#run] with the caller's own lane: for launches that keep partial results in its scratch.
    void run(int chunks, Chunk body, Lane lane) {
        if (chunks == 1 || helpers.length == 0 || !busy.compareAndSet(false, true)) {
            for (int i = 0; i < chunks; i++) {
                runOne(body, i, lane);
            }
            return;
        }
        Job job = new Job(body, chunks);
        try {
            current = job;
            int wake = Math.min(helpers.length, chunks - 1);
            for (int i = 0; i < wake; i++) {
                helpers[i].wake();
            }
            job.work(lane);
            job.await();
        } finally {
            current = null;
            busy.set(false);
        }
        job.rethrow();
    }

    Lane borrow() {
        OneDnn.serialThread();
        Lane lane = idleLanes.pollFirst();
        return lane == null ? new Lane() : lane;
    }

    void giveBack(Lane lane) {
        lane.idle();
        idleLanes.addFirst(lane);
    }

    private static void runOne(Chunk body, int chunk, Lane lane) {
        long mark = lane.mark();
        body.run(chunk, lane);
        lane.release(mark);
    }

    private static final class Job {
        final Chunk body;
        final int chunks;
        final AtomicInteger next = new AtomicInteger();
        final AtomicInteger done = new AtomicInteger();
        private final Thread caller = Thread.currentThread();
        private volatile boolean callerWaits;
        private volatile @Nullable Throwable failure;

        Job(Chunk body, int chunks) {
            this.body = body;
            this.chunks = chunks;
        }

        void work(Lane lane) {
            for (int i = next.getAndIncrement(); i < chunks; i = next.getAndIncrement()) {
                long mark = lane.mark();
                try {
                    body.run(i, lane);
                } catch (Throwable t) {
                    failure = t;
                }
                lane.release(mark);
                if (done.incrementAndGet() == chunks && callerWaits) {
                    LockSupport.unpark(caller);
                }
            }
        }

        void await() {
            for (int i = 0; i < SPINS && done.get() < chunks; i++) {
                Thread.onSpinWait();
            }
            if (done.get() < chunks) {
                callerWaits = true;
                while (done.get() < chunks) {
                    LockSupport.park(this);
                }
            }
        }

        void rethrow() {
            switch (failure) {
                case null -> {}
                case RuntimeException e -> throw e;
                case Error e -> throw e;
                case Throwable t -> throw new IllegalStateException(t);
            }
        }
    }

    private final class Worker implements Runnable {
        final Thread thread;
        private volatile boolean parked;

        Worker(int index) {
            thread = Thread.ofPlatform().daemon().name("jacquard-cpu-" + index).unstarted(this);
        }

        void wake() {
            if (parked) {
                LockSupport.unpark(thread);
            }
        }

        @Override
        public void run() {
            OneDnn.serialThread();
            Lane lane = new Lane();
            Job last = null;
            while (!stopped) {
                Job job = next(last);
                if (job != null) {
                    job.work(lane);
                    lane.idle();
                    last = job;
                }
            }
        }

        /// The next job; spins for a while, since launches follow each other within microseconds, then parks.
        private @Nullable Job next(@Nullable Job last) {
            for (int i = 0; i < SPINS; i++) {
                Job job = current;
                if (job != null && job != last) {
                    return job;
                }
                Thread.onSpinWait();
            }
            parked = true;
            try {
                Job job = current;
                if ((job == null || job == last) && !stopped) {
                    LockSupport.park(Workers.this);
                }
                return job == last ? null : job;
            } finally {
                parked = false;
            }
        }
    }
}
