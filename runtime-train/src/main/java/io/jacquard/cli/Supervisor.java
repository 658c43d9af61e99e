package io.jacquard.cli;

import io.jacquard.train.Failures;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Runs a training in a child process, and starts it again where it failed. Wrong usage and interrupts are no failures;
/// two in a row at the same step are not tried a third time, since they would not end otherwise.
final class Supervisor {
    private static final int LAST_LINES = 20;
    private static final int INTERRUPTED = 130;
    private static final int TERMINATED = 143;

    private final Path run;
    private final List<String> prefix;
    private final List<String> arguments;
    private final int restarts;
    private final PrintWriter err;
    private final Deque<String> lastLines = new ArrayDeque<>();
    private volatile @Nullable Process child;
    private volatile boolean isStopped;

    /// @param prefix the launcher's command; empty for one process
    /// @param arguments of the command that trains
    Supervisor(Path run, List<String> prefix, List<String> arguments, int restarts, PrintWriter err) {
        this.run = run;
        this.prefix = prefix;
        this.arguments = arguments;
        this.restarts = restarts;
        this.err = err;
    }

    /// @return the exit code of the command
    int supervise() throws Exception {
        return Interrupts.during(this::stop, this::runs);
    }

    private void stop() {
        isStopped = true;
        Process p = child;
        if (p != null) {
            p.destroy(); // TERM: it finishes the step and saves
        }
    }

    private int runs() throws IOException, InterruptedException {
        Failures failures = new Failures(run);
        for (int restart = 0; ; restart++) {
            long before = failures.step();
            int code = once(restart > 0);
            if (code == 0 || code == Main.USAGE || code == INTERRUPTED || code == TERMINATED || isStopped) {
                return code;
            }
            long at = failures.step();
            boolean isSame = restart > 0 && at == before;
            boolean isLast = isSame || restart >= restarts;
            failures.add(code, at, restart, List.copyOf(lastLines));
            String what = "supervise: the training ended with exit code " + code + " after step " + at;
            if (isLast) {
                err.println(what + "; not started again: "
                        + (isSame ? "it failed there before" : restarts + " restarts were allowed") + "; "
                        + failures.file() + " has the reasons");
                return Main.FAILED;
            }
            err.println(what + "; starting it again (" + (restart + 1) + " of " + restarts + ")");
            err.flush();
            Thread.sleep(1000L << Math.min(restart, 5)); // what broke may need a moment: a node, a file system
        }
    }

    private int once(boolean resumes) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(prefix);
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
        command.addAll(arguments);
        if (resumes && !arguments.contains("--resume")) {
            command.add("--resume");
        }
        lastLines.clear();
        Process p = new ProcessBuilder(command)
                .redirectOutput(ProcessBuilder.Redirect.INHERIT)
                .start();
        child = p;
        if (isStopped) {
            p.destroy();
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
