package io.jacquard.line;

import io.jacquard.line.Letter.Kind;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/// Notices that ranks wait for something that will not come. Each process has one, in a thread of its own, so that it
/// answers while its rank computes.
///
/// A rank in whose operation nothing has moved for the timeout asks all others where they are. It waits on while one
/// of them computes, and tells all to fail when one does not answer (it is stopped, or its machine is gone), when
/// all wait too (for each other), or when its patience, forty times the timeout, is over.
public final class Watchdog {
    private static final long TICK_NANOS = 50_000_000;
    private static final int PATIENCE = 40;

    /// How long a process with a failed group may go on: it has something to write, or never looks.
    private static final long GRACE_NANOS = 10_000_000_000L;

    /// A lower rank that has the same question asks first.
    private static final long STAGGER_NANOS = 100_000_000;

    private static final int STAGGERED = 20;
    private static final Letter ASK = new Letter(Kind.ASK, false, 0, "");
    private static final Letter BYE = new Letter(Kind.BYE, false, 0, "");

    private final Letters letters;
    private final Activity activity;
    private final int rank;
    private final int size;
    private final long timeout;
    private final long answer;
    private final Runnable end;
    private final @Nullable Letter[] answers;
    private final boolean[] over;
    private final Thread thread;
    private long asked;
    private long nextQuestion = System.nanoTime();
    private boolean asking;
    private boolean told;
    private long failedAt;
    private volatile boolean stopped;

    /// @param end ends the process and with it all others
    public Watchdog(Letters letters, Activity activity, int rank, int size, Duration timeout, Runnable end) {
        this.letters = letters;
        this.activity = activity;
        this.rank = rank;
        this.size = size;
        this.timeout = timeout.toNanos();
        this.answer = timeout.toNanos() / 3;
        this.end = end;
        this.answers = new Letter[size];
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
                if (activity.failure() == null) {
                    look();
                } else {
                    tell();
                }
                LockSupport.parkNanos(TICK_NANOS);
            }
        } catch (RuntimeException e) {
            activity.fail("group: the watchdog failed: " + e.getMessage(), true);
        }
    }

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
                letters.send(from, here());
                if (from < rank) {
                    nextQuestion = System.nanoTime() + 2 * answer;
                }
            }
            case STATUS -> answers[from] = letter;
            case FAIL -> activity.fail(letter.text(), false);
            case BYE -> over[from] = true;
        }
    }

    private Letter here() {
        return new Letter(Kind.STATUS, activity.inside(), activity.quietNanos(), activity.operation());
    }

    private boolean waits() {
        return activity.inside() && activity.quietNanos() > timeout;
    }

    private void look() {
        long now = System.nanoTime();
        if (!waits()) {
            asking = false;
        } else if (asking) {
            if (missing().isEmpty() || now - asked > answer) {
                asking = false;
                nextQuestion = now + timeout / 4;
                judge();
            }
        } else if (now - nextQuestion > 0
                && activity.quietNanos() > timeout + Math.min(rank, STAGGERED) * STAGGER_NANOS) {
            for (int r = 0; r < size; r++) {
                answers[r] = null;
                letters.send(r, ASK);
            }
            asked = now;
            asking = true;
        }
    }

    private List<Integer> missing() {
        List<Integer> silent = new ArrayList<>();
        for (int r = 0; r < size; r++) {
            if (r != rank && answers[r] == null) {
                silent.add(r);
            }
        }
        return silent;
    }

    private void judge() {
        answers[rank] = here();
        List<Integer> silent = missing();
        long quiet = activity.quietNanos();
        if (!silent.isEmpty()) {
            fail(ranks(silent) + (silent.size() > 1 ? " do" : " does") + " not answer (stopped, or cut off)", quiet);
        } else if (allWait()) {
            fail("all ranks wait for each other", quiet);
        } else if (quiet > PATIENCE * timeout) {
            fail("patience is over", quiet);
        }
    }

    private boolean allWait() {
        for (Letter a : answers) {
            if (a == null || !a.inside() || a.quietNanos() < timeout) {
                return false;
            }
        }
        return true;
    }

    private void fail(String why, long quietNanos) {
        activity.fail(
                "group: nothing has moved for " + quietNanos / 1_000_000_000 + " s: " + why + "; " + places(), true);
    }

    /// `rank 0, rank 2 in #4 barrier; rank 1 after #3 barrier`.
    private String places() {
        Map<String, List<Integer>> places = new LinkedHashMap<>();
        for (int r = 0; r < size; r++) {
            Letter a = answers[r];
            if (a != null) {
                places.computeIfAbsent((a.inside() ? " in " : " after ") + a.text(), _ -> new ArrayList<>())
                        .add(r);
            }
        }
        StringJoiner text = new StringJoiner("; ");
        places.forEach((place, ranks) -> text.add(ranks(ranks) + place));
        return text.toString();
    }

    private static String ranks(List<Integer> ranks) {
        StringJoiner text = new StringJoiner(", ");
        ranks.forEach(r -> text.add("rank " + r));
        return text.toString();
    }

    /// Every rank's own thread throws what failed; one that never looks is ended.
    private void tell() {
        if (!told) {
            told = true;
            failedAt = System.nanoTime();
            if (activity.ours()) {
                Letter why = new Letter(Kind.FAIL, false, 0, String.valueOf(activity.failure()));
                for (int r = 0; r < size; r++) {
                    letters.send(r, why);
                }
            }
        } else if (System.nanoTime() - failedAt > GRACE_NANOS) {
            end.run();
        }
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
            while ((!over[r] || !letters.sent(r)) && System.nanoTime() < deadline) {
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
        join();
        if (!told && activity.failure() != null) {
            tell();
        }
        long deadline = System.nanoTime() + timeout;
        for (int r = 0; activity.ours() && r < size; r++) {
            while (!letters.sent(r) && System.nanoTime() < deadline) {
                LockSupport.parkNanos(TICK_NANOS);
            }
        }
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
