package io.jacquard.mpi;

import io.jacquard.group.Watch;
import io.jacquard.launch.Launch;
import io.jacquard.launch.Launcher;
import io.jacquard.line.Activity;
import io.jacquard.line.LastWords;
import io.jacquard.line.Peers;
import io.jacquard.line.Watchdog;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;

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
    private final LastWords lastWords;

    private World(Mpi mpi, Watch watch) {
        this.mpi = mpi;
        library = mpi.description();
        rank = mpi.rank(mpi.world);
        size = mpi.size(mpi.world);
        activity = new Activity(rank, size, watch);
        Peers peers = peers();
        long own = mpi.split(mpi.world, 0, rank);
        watchdog = new Watchdog(new MpiLetters(mpi, own, rank, size), peers, activity, size, watch, this::endLate);
        lastWords = new LastWords(activity, watchdog, size, watch);
    }

    private Peers peers() {
        byte[] mine = Peers.mine();
        try (Arena arena = Arena.ofShared()) {
            MemorySegment said = arena.allocate(mine.length).copyFrom(MemorySegment.ofArray(mine));
            MemorySegment all = arena.allocate((long) mine.length * size);
            new Wire(mpi, mpi.world, activity).gather(said, all);
            return new Peers(rank, all);
        }
    }

    static World open(Launch launch, Map<String, String> environment, Watch watch) {
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
            world = new World(mpi, watch);
        } finally {
            started.set(true);
        }
        world.watchdog.start();
        world.lastWords.arm();
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
        lastWords.disarm();
    }

    /// A thread of this rank has failed: ends all processes.
    void end(Throwable failure) {
        lastWords.of(failure);
        end();
    }

    private void endLate() {
        lastWords.late();
        end();
    }

    private void end() {
        Thread.ofPlatform().daemon().name("mpi end").start(() -> {
            LockSupport.parkNanos(Duration.ofSeconds(5).toNanos());
            Runtime.getRuntime().halt(1);
        });
        mpi.abort(1);
        Runtime.getRuntime().halt(1);
    }
}
