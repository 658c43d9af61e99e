package io.jacquard.line;

import io.jacquard.group.FlightReport;
import io.jacquard.group.RankState;
import io.jacquard.group.RankState.Doing;
import io.jacquard.group.Watch;
import io.jacquard.line.Activity.Failure;
import io.jacquard.line.Activity.Source;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/// How the processes of ranks end when these have failed: one tells people, the others are quiet.
public final class LastWords {
    /// How long a rank with nothing to tell waits for the end that another one brings.
    private static final Duration SILENCE = Duration.ofSeconds(10);

    /// How long to wait for all ranks' answers.
    private static final Duration SURVEY = Duration.ofSeconds(5);

    /// How long to wait for a lower rank that has found a failure, too.
    private static final Duration DOUBT = Duration.ofMillis(150);

    /// Until the watchdogs have told each other.
    private static final Duration POST = Duration.ofMillis(200);

    /// Launchers end all ranks when one has died, and pass on how: they have a head start.
    private static final Duration LAUNCHER = Duration.ofSeconds(3);

    private final Activity activity;
    private final Watchdog watchdog;
    private final Watch watch;
    private final int size;
    private final Thread hook = Thread.ofPlatform().name("last words").unstarted(this::leaveJvm);
    private volatile boolean said;

    public LastWords(Activity activity, Watchdog watchdog, int size, Watch watch) {
        this.activity = activity;
        this.watchdog = watchdog;
        this.size = size;
        this.watch = watch;
    }

    /// From here on the end of the JVM is told to the other ranks, until [#disarm].
    public void arm() {
        Runtime.getRuntime().addShutdownHook(hook);
    }

    /// The ranks have parted in peace.
    public void disarm() {
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException _) {
            // the JVM is ending, and the hook with it
        }
    }

    /// A launcher that ends all ranks since one has died leaves a second or more to tell of it.
    private void leaveJvm() {
        watchdog.leaveJvm();
        if (activity.hasFailed() && !isTold()) {
            await(() -> said, SURVEY);
        }
    }

    /// A thread of this rank has failed. If the ranks had failed before, that is the reason. Returns when the
    /// process may be ended: after it was told, or long after another rank should have done so.
    public void of(Throwable thrown) {
        activity.failBy(thrown, "group: rank " + activity.recorder().rank() + " of " + size + " failed: " + thrown);
        await(() -> watchdog.states() != null || isTold(), SURVEY);
        await(this::isTold, DOUBT);
        say(thrown);
    }

    private boolean isTold() {
        Failure failure = activity.failure();
        return failure != null && failure.source() == Source.TOLD;
    }

    private boolean hasFound() {
        Failure failure = activity.failure();
        return failure != null && failure.source() == Source.FOUND;
    }

    private static void await(BooleanSupplier condition, Duration most) {
        long deadline = System.nanoTime() + most.toNanos();
        while (!condition.getAsBoolean() && System.nanoTime() < deadline) {
            LockSupport.parkNanos(5_000_000);
        }
    }

    /// A rank that is a thread of many leaves. If the ranks have failed by what their watchdogs found, one of them
    /// tells people; what its own work has thrown, whoever catches it does.
    public void part() {
        if (hasFound()) {
            await(() -> watchdog.states() != null || isTold(), SURVEY);
            await(this::isTold, DOUBT);
        }
        Failure failure = activity.failure();
        if (failure != null && hasFound() && activity.claim()) {
            print(failure, null);
        }
    }

    /// The ranks have failed, and the thread of this one does not notice.
    public void late() {
        say(null);
    }

    private void say(@Nullable Throwable thrown) {
        Failure failure = activity.failure();
        if (failure == null || !activity.claim()) {
            LockSupport.parkNanos(SILENCE.toNanos());
            return;
        }
        List<RankState> states = print(failure, thrown);
        boolean ended = states != null && states.stream().anyMatch(s -> s.doing() == Doing.ENDED);
        LockSupport.parkNanos((ended ? LAUNCHER : POST).toNanos());
    }

    private @Nullable List<RankState> print(Failure failure, @Nullable Throwable thrown) {
        List<RankState> states = watchdog.states();
        String text = states == null ? failure.why() : FlightReport.of(failure.why(), states);
        System.err.println(text);
        if (thrown != null && failure.source() == Source.OWN) {
            thrown.printStackTrace();
        }
        System.err.flush();
        write(text, states == null ? List.of() : states);
        said = true;
        return states;
    }

    private void write(String text, List<RankState> states) {
        Path directory = watch.directory();
        if (directory != null) {
            try {
                FlightReport.write(directory, text, states);
            } catch (IOException e) {
                System.err.println("group: cannot write the report into " + directory + ": " + e);
            }
        }
    }
}
