package io.jacquard.mpi;

import io.jacquard.launch.Launch;
import io.jacquard.launch.Launcher;
import io.jacquard.line.Activity;
import io.jacquard.line.Watchdog;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/// MPI in this process: opened once, for all groups.
final class World {
    private static final Duration START = Duration.ofMinutes(2);
    private static final AtomicBoolean OPENED = new AtomicBoolean();

    final Mpi mpi;
    final int rank;
    final int size;
    final Activity activity;
    final String library;
    private final Watchdog watchdog;
    private @Nullable Throwable known;
    private boolean knownIsOurs;

    private World(Mpi mpi, Duration timeout) {
        this.mpi = mpi;
        library = mpi.description();
        rank = mpi.rank(mpi.world);
        size = mpi.size(mpi.world);
        activity = new Activity(3 * timeout.toNanos());
        long own = mpi.split(mpi.world, 0, rank);
        watchdog = new Watchdog(new MpiLetters(mpi, own, rank, size), activity, rank, size, timeout, this::endLate);
    }

    static World open(Launch launch, Map<String, String> environment, Duration timeout) {
        Mpi mpi = new Mpi(LibraryFile.open(LibraryFile.candidates(environment)));
        if (OPENED.getAndSet(true)) {
            throw new IllegalStateException("mpi: already opened; a process can do so once");
        }
        AtomicBoolean started = new AtomicBoolean();
        Thread.ofPlatform().daemon().name("mpi start").start(() -> endIfNot(started, launch));
        World world;
        try {
            mpi.init();
            agree(launch, mpi);
            world = new World(mpi, timeout);
        } finally {
            started.set(true);
        }
        world.watchdog.start();
        return world;
    }

    private static void endIfNot(AtomicBoolean started, Launch launch) {
        long deadline = System.nanoTime() + START.toNanos();
        while (!started.get() && System.nanoTime() < deadline) {
            LockSupport.parkNanos(100_000_000);
        }
        if (!started.get()) {
            System.err.println(
                    "mpi: " + launch + ": the ranks did not find each other within " + START.toSeconds() + " s");
            Runtime.getRuntime().halt(1);
        }
    }

    /// A library that is not the launcher's makes every process rank 0 of 1.
    private static void agree(Launch launch, Mpi mpi) {
        int rank = mpi.rank(mpi.world);
        int size = mpi.size(mpi.world);
        if (launch.launcher() != Launcher.NONE && (launch.rank() != rank || launch.size() != size)) {
            throw new IllegalStateException("mpi: " + launch + "; rank " + rank + " of " + size + ", says "
                    + mpi.description() + ": probably not the launcher's library; " + LibraryFile.VARIABLE
                    + " names another, srun takes --mpi=pmix (Open MPI) or --mpi=pmi2 (MPICH)");
        }
    }

    void close() {
        watchdog.stop();
        mpi.finish();
    }

    /// All ranks of a group have found the same failure, and one of them is to tell it.
    void told(Throwable failure, boolean ours) {
        known = failure;
        knownIsOurs = ours;
    }

    /// The rank's thread has failed: ends all processes. The rank that found the failure tells it; the others wait
    /// for their end, and only end themselves if it does not come.
    void end(Throwable failure) {
        boolean fromOthers = failure instanceof IllegalStateException
                && activity.failure() != null
                && String.valueOf(failure.getMessage()).equals(activity.failure());
        boolean ours = fromOthers ? activity.ours() : knownIsOurs;
        if (!fromOthers && !isKnown(failure)) {
            System.err.println("group: rank " + rank + " of " + size + " failed:");
            failure.printStackTrace();
        } else if (ours) {
            System.err.println(failure.getMessage());
            LockSupport.parkNanos(Duration.ofMillis(200).toNanos()); // until the watchdogs have told each other
        } else {
            LockSupport.parkNanos(Duration.ofSeconds(5).toNanos());
        }
        end();
    }

    @SuppressWarnings("ReferenceEquality") // this very one
    private boolean isKnown(Throwable failure) {
        return failure == known;
    }

    private void endLate() {
        if (activity.ours()) {
            System.err.println(activity.failure());
        }
        end();
    }

    private void end() {
        System.err.flush();
        Thread.ofPlatform().daemon().name("mpi end").start(() -> {
            LockSupport.parkNanos(Duration.ofSeconds(5).toNanos());
            Runtime.getRuntime().halt(1);
        });
        mpi.abort(1);
        Runtime.getRuntime().halt(1);
    }
}
