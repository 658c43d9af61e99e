package io.jacquard.cli;

import io.jacquard.group.Group;
import io.jacquard.group.Watch;
import io.jacquard.launch.Launch;
import io.jacquard.launch.Launcher;
import io.jacquard.ranks.Ranks;
import io.jacquard.train.Trainer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/// Who trains: this process alone, several threads of it, or the processes that a launcher has started ([Ranks]).
final class RankOptions {
    @Option(
            names = "--ranks",
            paramLabel = "N",
            description = "Ranks in this process, as threads (default: 1). Under mpirun, srun and other launchers there"
                    + " are as many in each process. parallel.* says how ranks share the work.")
    private @Nullable Integer ranks;

    /// What one rank does.
    @FunctionalInterface
    interface Work {
        Trainer.Outcome run(Group world) throws IOException;
    }

    /// Runs `work` on every rank, each with a session of its device.
    ///
    /// @param watch where ranks record what they do, and a report goes if they fail
    /// @return what it returned on rank 0; null in a process of other ranks
    Trainer.@Nullable Outcome run(CommandLine command, String device, Watch watch, Work work) throws IOException {
        AtomicReference<Trainer.@Nullable Outcome> outcome = new AtomicReference<>();
        try {
            Ranks.run(Launch.here(), device, count(command), watch, world -> keep(world, work, outcome));
        } catch (UncheckedIOException e) {
            IOException cause = Objects.requireNonNull(e.getCause());
            Arrays.stream(e.getSuppressed()).forEach(cause::addSuppressed); // the report
            throw cause;
        }
        return outcome.get();
    }

    /// For commands that prepare something before they train, which one process has to do for all.
    void aloneOrThreads(CommandLine command, String name) {
        Launch launch = Launch.here();
        if (launch.launcher() != Launcher.NONE) {
            throw new ParameterException(
                    command,
                    name + ": this process is " + launch + "; " + name
                            + " runs in one process, with --ranks N if there shall be several ranks. It writes config.yaml into"
                            + " its --run directory: launch 'jacquard train --config FILE --run OTHER' with that");
        }
    }

    private int count(CommandLine command) {
        if (ranks != null && ranks < 1) {
            throw new ParameterException(command, "--ranks " + ranks + ": expected at least 1");
        }
        return ranks == null ? 1 : ranks;
    }

    private static void keep(Group world, Work work, AtomicReference<Trainer.@Nullable Outcome> outcome) {
        try {
            Trainer.Outcome o = work.run(world);
            if (world.rank() == 0) {
                outcome.set(o);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
