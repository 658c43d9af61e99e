package io.jacquard.group;

import io.jacquard.group.RankState.Doing;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/// The ranks that are threads of one [LocalGroup]: what each has done, which wait for which, and why they failed. A
/// thread looks after them.
final class Crew {
    private static final Duration MOST_BETWEEN_LOOKS = Duration.ofMillis(100);
    private static final long AT_ONCE_NANOS = 5_000_000_000L;

    /// A rank that has waited for a while.
    ///
    /// @param others who has not come yet; nobody if there is nothing to wait for any more
    private record Waiting(long since, Supplier<List<Integer>> others) {}

    private final Watch watch;
    private final List<FlightRecorder> recorders = new ArrayList<>();
    private final @Nullable Pulse[] pulses;
    private final @Nullable Waiting[] waiting;
    private final @Nullable Doing[] ends;
    private final Map<String, List<RankState>> failures = new HashMap<>();
    private long failedAt = System.nanoTime() - AT_ONCE_NANOS;
    private List<RankState> failedStates = List.of();
    private @Nullable Throwable first;
    private String firstWhy = "";
    private @Nullable Throwable told;
    private volatile boolean over;

    Crew(int size, Watch watch) {
        this.watch = watch;
        for (int r = 0; r < size; r++) {
            recorders.add(FlightRecorder.of(watch.directory(), r, size));
        }
        pulses = new Pulse[size];
        waiting = new Waiting[size];
        ends = new Doing[size];
    }

    Watch watch() {
        return watch;
    }

    int size() {
        return recorders.size();
    }

    FlightRecorder recorder(int rank) {
        return recorders.get(rank);
    }

    // ---- what ranks say

    /// The calling thread is this rank's from here on.
    synchronized void begins(int rank) {
        pulses[rank] = Pulse.ofThisThread(recorders.get(rank));
    }

    synchronized void ends(int rank) {
        ends[rank] = Doing.ENDED;
    }

    /// The rank's work has thrown.
    ///
    /// @return what the others are told; null if it threw what they know
    synchronized @Nullable String fails(int rank, Throwable e) {
        if (failures.containsKey(String.valueOf(e.getMessage()))) {
            ends[rank] = Doing.ENDED;
            told = told == null ? e : told;
            return null;
        }
        ends[rank] = Doing.FAILED;
        String why = "group: rank " + rank + " of " + size() + " failed: " + e;
        if (first == null) {
            first = e;
            firstWhy = why;
        }
        return why;
    }

    /// @param others who has not come yet; nobody if there is nothing to wait for any more
    synchronized void waits(int rank, Supplier<List<Integer>> others) {
        waiting[rank] = new Waiting(System.nanoTime(), others);
    }

    synchronized void waitsNoMore(int rank) {
        waiting[rank] = null;
    }

    /// The ranks have failed; where they are now belongs to it. What follows at once has the same reason.
    synchronized void failed(String why) {
        boolean follows = System.nanoTime() - failedAt < AT_ONCE_NANOS;
        failures.computeIfAbsent(why, _ -> follows ? failedStates : states());
        if (!follows) {
            failedAt = System.nanoTime();
            failedStates = failures.getOrDefault(why, List.of());
        }
    }

    // ---- where ranks are

    private synchronized List<RankState> states() {
        List<RankState> states = new ArrayList<>();
        for (int r = 0; r < waiting.length; r++) {
            states.add(state(r));
        }
        return states;
    }

    synchronized RankState state(int rank) {
        Waiting w = waiting[rank];
        Doing end = ends[rank];
        List<FlightEntry> flights = recorders.get(rank).last(FlightRecorder.SLOTS);
        boolean waits = flights.stream().anyMatch(FlightEntry::waits);
        Doing doing = end != null ? end : waits ? Doing.WAITS : Doing.COMPUTES;
        long since = flights.stream()
                .mapToLong(f -> f.isOpen() ? f.beganNanos() : f.endedNanos())
                .max()
                .orElse(FlightRecorder.now());
        Pulse computing = doing == Doing.COMPUTES ? pulses[rank] : null;
        return new RankState(
                rank,
                doing,
                w != null ? System.nanoTime() - w.since : FlightRecorder.now() - since,
                computing == null ? 0 : computing.circlingNanos(),
                flights,
                computing == null ? "" : computing.where());
    }

    // ---- the watcher

    /// @param abort ends all waiting for the reason that it is given
    void start(Consumer<String> abort) {
        Thread.ofPlatform().daemon().name("crew").start(() -> watch(abort));
    }

    /// All threads have ended. Throws what one of them has thrown; with the report, which is the message if they
    /// have failed together. The rank that failed first may have been slower to end than those who were told.
    synchronized void end() {
        over = true;
        Throwable e = first;
        if (e != null) {
            if (recorders.stream().anyMatch(r -> r.begun() > 0)) { // else this group was not what joined them
                e.addSuppressed(new IllegalStateException(report(firstWhy)));
            }
            if (e instanceof Error error) {
                throw error;
            }
            throw (RuntimeException) e;
        }
        if (told != null) {
            throw new IllegalStateException(report(String.valueOf(told.getMessage())), told);
        }
    }

    private String report(String why) {
        List<RankState> states = failures.getOrDefault(why, List.of());
        String report = FlightReport.of(why, states);
        Path directory = watch.directory();
        if (directory != null) {
            try {
                FlightReport.write(directory, report, states);
            } catch (IOException e) {
                return report + "\ngroup: cannot write the report into " + directory + ": " + e;
            }
        }
        return report;
    }

    private void watch(Consumer<String> abort) {
        long between = Math.min(MOST_BETWEEN_LOOKS.toNanos(), watch.timeout().toNanos() / 10);
        while (!over) {
            feelPulses();
            for (int r = 0; r < waiting.length; r++) {
                String why = why(r);
                if (why != null) {
                    abort.accept(why);
                    return;
                }
            }
            LockSupport.parkNanos(between);
        }
    }

    /// A thread that computes in a circle is known by several looks.
    private synchronized void feelPulses() {
        long soon = System.nanoTime() - watch.timeout().toNanos() / 4;
        boolean needed = Arrays.stream(waiting).anyMatch(w -> w != null && w.since < soon);
        for (int r = 0; needed && r < waiting.length; r++) {
            Pulse pulse = pulses[r];
            if (pulse != null && waiting[r] == null && ends[r] == null) {
                pulse.circlingNanos();
            }
        }
    }

    /// Why this rank waits for ever; null while there is hope.
    private @Nullable String why(int rank) {
        Waiting w;
        synchronized (this) {
            w = waiting[rank];
        }
        if (w == null) {
            return null;
        }
        List<Integer> others = w.others.get(); // asks a meeting, whose ranks may ask us: without our lock
        synchronized (this) {
            if (others.isEmpty() || !w.equals(waiting[rank])) {
                return null;
            }
            // not those that failed: they are about to tell why
            List<Integer> ended =
                    others.stream().filter(o -> ends[o] == Doing.ENDED).toList();
            if (!ended.isEmpty()) {
                return "group: " + Ranks.words(ended) + (ended.size() == 1 ? " has" : " have")
                        + " ended, but others wait for " + (ended.size() == 1 ? "it" : "them");
            }
            long quiet = System.nanoTime() - w.since;
            return quiet < watch.timeout().toNanos()
                    ? null
                    : Verdict.of(
                            states().stream()
                                    .filter(s -> ends[s.rank()] == null)
                                    .toList(),
                            quiet,
                            watch);
        }
    }
}
