package io.jacquard.cli;

import io.jacquard.launch.Launch;
import io.jacquard.launch.Launcher;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/// Whether training runs in processes of its own that are started again when they fail.
final class SuperviseOptions {
    @Option(
            names = "--supervise",
            description = "Train in a process of its own; when it fails, start it again from the newest saved state."
                    + " failures.jsonl in the run's directory keeps the reasons.")
    private boolean supervise;

    @Option(
            names = "--restarts",
            paramLabel = "N",
            description = "With --supervise: restart at most this often (default: 3).")
    private @Nullable Integer restarts;

    @Option(
            names = "--launcher",
            paramLabel = "COMMAND",
            description = "With --supervise: what starts the ranks, such as \"mpirun -n 4\".")
    private @Nullable String launcher;

    /// The options with a value, and those without.
    private static final Pattern OURS = Pattern.compile("--supervise|--(restarts|launcher)(=.*)?");

    boolean areGiven(CommandLine command) {
        if (restarts() < 0 || launcher != null && launcher.isBlank()) {
            throw new ParameterException(
                    command,
                    restarts() < 0 ? "--restarts " + restarts() + ": expected at least 0" : "--launcher is empty");
        }
        if (!supervise && (restarts != null || launcher != null)) {
            throw new ParameterException(command, "--restarts and --launcher belong to --supervise");
        }
        Launch launch = Launch.here();
        if (supervise && launch.launcher() != Launcher.NONE) {
            throw new ParameterException(
                    command,
                    "--supervise: this process is " + launch + "; supervise from outside: jacquard train --supervise"
                            + " --launcher 'mpirun -n " + launch.size() + "' ...");
        }
        return supervise;
    }

    int restarts() {
        return restarts == null ? 3 : restarts;
    }

    /// What stands before the command that trains.
    List<String> prefix() {
        return launcher == null ? List.of() : List.of(launcher.strip().split("\\s+", -1));
    }

    /// The arguments of the process that trains: all but these options.
    static List<String> without(List<String> arguments) {
        List<String> left = new ArrayList<>();
        for (int i = 0; i < arguments.size(); i++) {
            String a = arguments.get(i);
            if (!OURS.matcher(a).matches()) {
                left.add(a);
            } else if (!a.equals("--supervise") && !a.contains("=")) {
                i++; // its value
            }
        }
        return left;
    }
}
