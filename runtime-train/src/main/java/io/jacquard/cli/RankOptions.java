package io.jacquard.cli;

import io.jacquard.group.Group;
import io.jacquard.group.LocalGroup;
import io.jacquard.group.SoloGroup;
import io.jacquard.group.Watch;
import io.jacquard.launch.Launch;
import io.jacquard.launch.Launcher;
import io.jacquard.mpi.MpiGroup;
import io.jacquard.train.Trainer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/// Who trains: this process alone, several threads of it, or the processes that a launcher has started.
final class RankOptions {
    @Option(
            names = "--ranks",
            paramLabel = "N",
            description = "Ranks to train with, as threads of this process (default: 1). Under mpirun, srun and other"
                    + " launchers each process is a rank. parallel.* says how ranks share the work.")
    private @Nullable Integer ranks;

    /// What one rank does.
    @FunctionalInterface
    interface Work {
        Trainer.Outcome run(Group world) throws IOException;
    }

    /// Runs `work` on every rank.
    ///
    /// @return what it returned on rank 0; null in a process of other ranks
    Trainer.@Nullable Outcome run(CommandLine command, Work work) throws IOException {
        Launch launch = Launch.here();
        AtomicReference<Trainer.@Nullable Outcome> outcome = new AtomicReference<>();
        try {
            if (launch.launcher() != Launcher.NONE) {
                if (ranks != null) {
                    throw new ParameterException(
                            command,
                            "--ranks " + ranks + ": this process is " + launch
                                    + "; its launcher says how many ranks there are");
                }
                MpiGroup.run(launch, Watch.DEFAULT, world -> keep(world, work, outcome));
            } else if (count(command) == 1) {
                keep(new SoloGroup(), work, outcome);
            } else {
                LocalGroup.run(count(command), world -> keep(world, work, outcome));
            }
        } catch (UncheckedIOException e) {
            throw e.getCause();
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
