package io.jacquard.line;

import io.jacquard.group.FlightEntry;
import io.jacquard.group.FlightRecorder;
import io.jacquard.group.FlightReport;
import io.jacquard.group.RankState;
import io.jacquard.group.RankState.Doing;
import io.jacquard.group.Verdict;
import io.jacquard.group.Watch;
import io.jacquard.line.Activity.Failure;
import io.jacquard.line.Activity.Source;
import io.jacquard.line.Letter.Kind;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/// Notices that ranks wait for something that will not come. Each process has one, in a thread of its own, so that it
/// answers while its rank computes.
///
/// A rank in whose operation nothing has moved for the timeout asks all others where they are, and a [Verdict] says
/// whether to wait on. Between ranks of one machine the end of a process is seen at once. Whoever finds a failure
/// gathers where all are, then tells all to fail.
public final class Watchdog {
    private static final long TICK_NANOS = 50_000_000;

    /// How long a process with a failed group may go on: it has something to write, or never looks.
    private static final long GRACE_NANOS = 10_000_000_000L;

    /// How long to wait for answers of ranks when the group has failed.
    private static final long SURVEY_NANOS = 3_000_000_000L;

    /// The last letter of a process may arrive after its end was seen.
    private static final long POST_NANOS = 150_000_000;

    /// A lower rank that has the same question asks first.
    private static final long STAGGER_NANOS = 100_000_000;

    private static final int STAGGERED = 20;
    private static final Letter ASK = Letter.of(Kind.ASK);
    private static final Letter LEAVE = Letter.of(Kind.LEAVE);
    private static final Letter BYE = Letter.of(Kind.BYE);

    private final Letters letters;
    private final Peers peers;
    private final Activity activity;
    private final int rank;
    private final int size;
    private final Watch watch;
    private final long timeout;
    private final long answer;
    private final Runnable end;
    private final @Nullable RankState[] answers;
    private final boolean[] toAsk;
    private final boolean[] toAnswer;
    private final boolean[] left;
    private final boolean[] toldToLeave;
    private final boolean[] over;
    private final Thread thread;
    private long asked;
    private long nextQuestion = System.nanoTime();
    private boolean asking;
    private long lostAt;
    private long failedAt;
    private volatile @Nullable List<RankState> states;
    private volatile boolean leaving;
    private volatile boolean hasLeft;
    private volatile boolean stopped;

    /// @param end ends the process and with it all others
    public Watchdog(Letters letters, Peers peers, Activity activity, int size, Watch watch, Runnable end) {
        this.letters = letters;
        this.peers = peers;
        this.activity = activity;
        this.rank = activity.recorder().rank();
        this.size = size;
        this.watch = watch;
        this.timeout = watch.timeout().toNanos();
        this.answer = timeout / 3;
        this.end = end;
        this.answers = new RankState[size];
        this.toAsk = new boolean[size];
        this.toAnswer = new boolean[size];
        this.left = new boolean[size];
        this.toldToLeave = new boolean[size];
        this.over = new boolean[size];
        this.thread =
                Thread.ofPlatform().daemon().name("watchdog of rank " + rank).unstarted(this::watch);
    }

    /// Begins to look round.
    public void start() {
        thread.start();
    }

    private void watch() {
        try {
            while (!stopped) {
                activity.beat();
                read();
                write();
                if (leaving && !hasLeft) {
                    sayThatWeLeave();
                }
                Failure failure = activity.failure();
                if (failure == null) {
                    look();
                } else {
                    tell(failure);
                }
                LockSupport.parkNanos(TICK_NANOS);
            }
        } catch (RuntimeException e) {
            activity.fail("group: the watchdog failed: " + e.getMessage(), Source.FOUND);
        }
    }

    // ---- letters

    private void read() {
        for (int r = 0; r < size; r++) {
            Letter letter = letters.receive(r);
            if (letter != null) {
                take(r, letter);
            }
        }
    }

    private void take(int from, Letter letter) {
        switch (letter.kind()) {
            case ASK -> {
                toAnswer[from] = true;
                if (from < rank) {
                    nextQuestion = System.nanoTime() + 2 * answer;
                }
            }
            case STATUS -> answers[from] = letter.state();
            case LEAVE -> left[from] = true;
            case FAIL -> activity.told(letter.why(), from < rank);
            case BYE -> over[from] = true;
        }
    }

    /// What could not be sent while an earlier letter was under way is sent at the next round.
    private void write() {
        for (int r = 0; r < size; r++) {
            toAsk[r] = toAsk[r] && !letters.send(r, ASK);
            toAnswer[r] = toAnswer[r] && !letters.send(r, Letter.of(activity.here()));
        }
    }

    private void askAll() {
        for (int r = 0; r < size; r++) {
            answers[r] = null;
            toAsk[r] = true;
        }
        asked = System.nanoTime();
        asking = true;
    }

    private boolean haveAnswered() {
        for (int r = 0; r < size; r++) {
            if (r != rank && answers[r] == null && !left[r] && !peers.isGone(r)) {
                return false;
            }
        }
        return true;
    }

    // ---- where ranks are

    private List<RankState> all() {
        List<RankState> all = new ArrayList<>();
        for (int r = 0; r < size; r++) {
            RankState said = r == rank ? activity.here() : answers[r];
            all.add(said != null ? said : silent(r));
        }
        return all;
    }

    /// What its recorder has, if it can be read here; else the last operation that this rank did with it.
    private RankState silent(int r) {
        boolean ended = left[r] || peers.isGone(r);
        Path directory = watch.directory();
        RankState recorded = directory == null ? null : FlightReport.ofSilent(directory, r, ended);
        if (recorded != null) {
            return recorded;
        }
        List<FlightEntry> together = activity.recorder().last(FlightRecorder.SLOTS).stream()
                .filter(f -> f.number() > 0 && f.among().isEmpty() && !f.isOpen() && !f.captured())
                .toList();
        List<FlightEntry> last = together.subList(Math.max(0, together.size() - 1), together.size());
        return new RankState(r, ended ? Doing.ENDED : Doing.UNKNOWN, activity.quietNanos(), 0, last, "");
    }

    // ---- while all is well

    private void look() {
        long now = System.nanoTime();
        if (!activity.waits() && activity.quietNanos() > timeout / 4) {
            activity.pulse().circlingNanos();
        }
        int lost = peers.lost();
        if (lost >= 0 && !left[lost] && !over[lost]) {
            lostAt = lostAt == 0 ? now : lostAt;
            if (now - lostAt > POST_NANOS) {
                activity.fail(
                        "group: rank " + lost + " has ended: its process is gone (killed, or halted)", Source.FOUND);
            }
        } else if (!activity.waits() || activity.quietNanos() < timeout) {
            asking = false;
        } else if (asking) {
            if (haveAnswered() || now - asked > answer) {
                asking = false;
                nextQuestion = now + timeout / 4;
                judge();
            }
        } else if (now - nextQuestion > 0
                && activity.quietNanos() > timeout + Math.min(rank, STAGGERED) * STAGGER_NANOS) {
            askAll();
        }
    }

    private void judge() {
        List<RankState> all = all();
        String why = Verdict.of(all, activity.quietNanos(), watch);
        if (why != null) {
            activity.fail(new Failure(why, Source.FOUND, all));
        }
    }

    // ---- when the group has failed

    /// Every rank's own thread throws what failed; one that never looks is ended.
    private void tell(Failure failure) {
        long now = System.nanoTime();
        if (failedAt == 0) {
            failedAt = now;
            askAll();
        }
        if (failure.source() != Source.TOLD && states == null) {
            if (failure.states() != null) {
                publish(failure.states(), failure);
            } else if (haveAnswered() || now - asked > SURVEY_NANOS) {
                publish(all(), failure);
            }
        }
        if (now - failedAt > GRACE_NANOS) {
            end.run();
        }
    }

    /// If several ranks have failed by themselves, the lowest tells of it.
    private void publish(List<RankState> all, Failure failure) {
        if (all.stream().anyMatch(s -> s.doing() == Doing.FAILED && s.rank() < rank)) {
            activity.told(failure.why(), true);
            return;
        }
        for (int r = 0; r < size; r++) {
            letters.send(r, Letter.fail(failure.why()));
        }
        states = all;
    }

    /// Where all ranks were when this one found that they have failed; null until that is known.
    @Nullable
    List<RankState> states() {
        return states;
    }

    // ---- the end

    /// The JVM ends: the others hear that it was not killed. It stays a moment: one of them may ask where it was,
    /// or it has itself just seen that another was killed.
    void leaveJvm() {
        leaving = true;
        long earliest = System.nanoTime() + 2 * POST_NANOS;
        long latest = System.nanoTime() + 4 * POST_NANOS;
        while (thread.isAlive() && System.nanoTime() < (hasLeft && !hasSuspicion() ? earliest : latest)) {
            LockSupport.parkNanos(TICK_NANOS / 5);
        }
    }

    private boolean hasSuspicion() {
        int lost = peers.lost();
        return lost >= 0 && !left[lost] && !activity.hasFailed();
    }

    private void sayThatWeLeave() {
        boolean all = true;
        for (int r = 0; r < size; r++) {
            toldToLeave[r] |= letters.send(r, LEAVE);
            all &= toldToLeave[r] && letters.sent(r);
        }
        hasLeft = all;
    }

    /// Ends the thread and the exchange of letters: all ranks do so together.
    public void stop() {
        join();
        long deadline = System.nanoTime() + GRACE_NANOS;
        over[rank] = true;
        for (int r = 0; r < size; r++) {
            letters.send(r, BYE);
        }
        for (int r = 0; r < size; r++) {
            while ((!over[r] || !letters.sent(r)) && activity.failure() == null && System.nanoTime() < deadline) {
                Letter letter = over[r] ? null : letters.receive(r);
                if (letter != null) {
                    take(r, letter);
                }
                LockSupport.parkNanos(10_000);
            }
        }
    }

    /// Ends the thread of a rank that has failed, when the others know why.
    public void leave() {
        long deadline = System.nanoTime() + timeout;
        while (isStillTelling() && thread.isAlive() && System.nanoTime() < deadline) {
            LockSupport.parkNanos(TICK_NANOS / 5);
        }
        join();
        for (int r = 0; states != null && r < size; r++) {
            while (!letters.sent(r) && System.nanoTime() < deadline) {
                LockSupport.parkNanos(TICK_NANOS);
            }
        }
    }

    private boolean isStillTelling() {
        Failure failure = activity.failure();
        return failure != null && failure.source() != Source.TOLD && states == null;
    }

    private void join() {
        stopped = true;
        LockSupport.unpark(thread);
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
