package io.jacquard.cli;

import io.jacquard.io.AtomicFiles;
import io.jacquard.train.Failures;
import io.jacquard.train.Failures.Failure;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/// Runs a training in a child process, and starts it again where it failed. Wrong usage and interrupts are no failures;
/// two in a row at the same place are not tried a third time, since they would not end otherwise.
final class Supervisor {
    private static final int LAST_LINES = 20;
    private static final int SIGNAL = 128;
    private static final int INTERRUPTED = 130;
    private static final int TERMINATED = 143;

    /// What ends late may hold the run directory for as long.
    private static final Duration HELD = Duration.ofSeconds(60);

    private final Path run;
    private final Failures failures;
    private final List<String> prefix;
    private final List<String> arguments;
    private final int restarts;
    private final PrintWriter err;
    private final Deque<String> lastLines = new ArrayDeque<>();
    private final CountDownLatch stopped = new CountDownLatch(1);
    private volatile @Nullable Process child;

    /// @param prefix the launcher's command; empty for one process
    /// @param arguments of the command that trains
    Supervisor(Path run, List<String> prefix, List<String> arguments, int restarts, PrintWriter err) {
        this.run = run;
        this.failures = new Failures(run);
        this.prefix = prefix;
        this.arguments = arguments;
        this.restarts = restarts;
        this.err = err;
    }

    /// @return the exit code of the command
    /// @throws IllegalArgumentException if the run has begun before, and nothing asks to resume it
    int supervise() throws Exception {
        OptionalLong saved = failures.saved();
        if (saved.isPresent() && !resumes()) {
            throw new IllegalArgumentException("run directory " + run + " already holds step-" + saved.getAsLong()
                    + "; go on with it by --resume, or choose another with --run");
        }
        return Interrupts.during(this::stop, this::runs);
    }

    private boolean resumes() {
        return arguments.contains("--resume");
    }

    private boolean isStopped() {
        return stopped.getCount() == 0;
    }

    private void stop() {
        stopped.countDown();
        Process p = child;
        if (p != null) {
            terminate(p);
        }
    }

    /// It finishes the step and saves. Process.destroy would also close the stream that it tells of it by.
    private static void terminate(Process p) {
        p.toHandle().destroy();
    }

    private int runs() throws IOException, InterruptedException {
        Failure before = null;
        for (int restart = 0; ; restart++) {
            if (isFree(restart == 0 ? Duration.ZERO : HELD)) {
                AtomicFiles.deleteTree(failures.ranks()); // what is there afterwards is of this attempt
            }
            OptionalLong from = failures.saved();
            String metrics = failures.fingerprint();
            int code = once(restart > 0);
            if (isNoFailure(code)) {
                return code;
            }
            boolean begun = !failures.fingerprint().equals(metrics);
            Failure failure = new Failure(
                    code,
                    from,
                    begun ? failures.step() : OptionalLong.empty(),
                    restart,
                    failures.report(),
                    List.copyOf(lastLines));
            failures.add(failure);
            if (isLast(failure, before)) {
                return Main.FAILED;
            }
            before = failure;
            if (stopped.await(1L << Math.min(restart, 5), TimeUnit.SECONDS)) { // what broke may need a moment
                return TERMINATED;
            }
        }
    }

    /// Launchers end with the code of an interrupt when they end other ranks since one has failed.
    private boolean isNoFailure(int code) {
        return code == 0
                || code == Main.USAGE
                || isStopped()
                || prefix.isEmpty() && (code == INTERRUPTED || code == TERMINATED);
    }

    private boolean isLast(Failure failure, @Nullable Failure before) {
        boolean again = before != null && failure.isAtThePlaceOf(before);
        boolean last = again || failure.restart() >= restarts;
        String report = failure.report().lines().findFirst().orElse("");
        if (!report.isEmpty() && !failure.lastLines().contains(report)) {
            err.println(failure.report()); // no rank was left to print it
        }
        err.println("supervise: the training ended with " + code(failure.exitCode())
                + (failure.step().isPresent() ? " after step " + failure.step().getAsLong() : " before its first step")
                + (last
                        ? "; not started again: "
                                + (again ? "it failed there before" : restarts + " restarts were allowed") + "; "
                                + failures.file() + " has the reasons"
                        : "; starting it again (" + (failure.restart() + 1) + " of " + restarts + ")"));
        err.flush();
        return last;
    }

    private static String code(int code) {
        return "exit code " + code + (code > SIGNAL ? " (signal " + (code - SIGNAL) + ")" : "");
    }

    /// A launcher may return before all of its processes have ended.
    private boolean isFree(Duration within) throws IOException, InterruptedException {
        long deadline = System.nanoTime() + within.toNanos();
        while (!failures.isFree()) {
            if (System.nanoTime() > deadline || isStopped()) {
                return false;
            }
            Thread.sleep(200);
        }
        return true;
    }

    private int once(boolean again) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(prefix);
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
        command.addAll(arguments);
        if (again && !resumes()) {
            command.add("--resume");
        }
        lastLines.clear();
        Process p = new ProcessBuilder(command)
                .redirectOutput(ProcessBuilder.Redirect.INHERIT)
                .start();
        child = p;
        if (isStopped()) {
            terminate(p);
        }
        try (InputStream lines = p.getErrorStream();
                var reader = new BufferedReader(new InputStreamReader(lines, StandardCharsets.UTF_8))) {
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                err.println(line);
                err.flush();
                lastLines.addLast(line);
                if (lastLines.size() > LAST_LINES) {
                    lastLines.removeFirst();
                }
            }
        }
        return p.waitFor();
    }
}
