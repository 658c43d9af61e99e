package io.jacquard.cli;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/// The command `jacquard`.
@Command(
        name = "jacquard",
        description = "Trains language models from Java, on this machine, with nothing sent anywhere.",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        synopsisSubcommandLabel = "COMMAND",
        subcommands = {
            QuickstartCommand.class,
            PrepareCommand.class,
            TrainCommand.class,
            ResumeCommand.class,
            EvalCommand.class,
            GenerateCommand.class,
            QuantizeCommand.class,
            InspectCommand.class,
            DoctorCommand.class,
            BenchCommand.class,
            BundleCommand.class,
            CompletionCommand.class
        },
        footer = {
            "",
            "Start with:  jacquard quickstart",
            "Exit codes:  0 done, 1 failed, 2 wrong usage or configuration, 130 and 143 interrupted."
        })
public final class Main implements Runnable {
    /// Wrong usage or configuration.
    static final int USAGE = CommandLine.ExitCode.USAGE;

    private static final String REPORT = "group: ";

    /// Failed.
    static final int FAILED = CommandLine.ExitCode.SOFTWARE;

    @Spec
    private @Nullable CommandSpec spec;

    @Option(names = "--stack-trace", scope = ScopeType.INHERIT, description = "Print the stack trace of a failure.")
    private boolean stackTrace;

    /// Runs a command and ends the JVM with its exit code.
    public static void main(String[] arguments) {
        PrintWriter out = new PrintWriter(System.out, true, StandardCharsets.UTF_8);
        PrintWriter err = new PrintWriter(System.err, true, StandardCharsets.UTF_8);
        System.exit(run(out, err, arguments));
    }

    /// Runs a command.
    ///
    /// @return the exit code
    static int run(PrintWriter out, PrintWriter err, String... arguments) {
        return commandLine(out, err).execute(arguments);
    }

    static CommandLine commandLine(PrintWriter out, PrintWriter err) {
        CommandLine line = new CommandLine(new Main());
        line.setOut(out).setErr(err);
        line.setCaseInsensitiveEnumValuesAllowed(true);
        line.setUsageHelpAutoWidth(System.getenv("COLUMNS") != null);
        line.setColorScheme(CommandLine.Help.defaultColorScheme(
                Terminal.colors() ? CommandLine.Help.Ansi.AUTO : CommandLine.Help.Ansi.OFF));
        line.setParameterExceptionHandler(Main::usage);
        line.setExecutionExceptionHandler(Main::failure);
        return line;
    }

    @Override
    public void run() {
        CommandLine line = java.util.Objects.requireNonNull(spec).commandLine();
        line.usage(line.getErr());
        throw new ParameterException(line, "a command is missing");
    }

    private static int usage(ParameterException e, String[] arguments) {
        CommandLine command = e.getCommandLine();
        command.getErr()
                .println(command.getCommandSpec().root().name() + ": "
                        + String.valueOf(e.getMessage()).strip());
        CommandLine.UnmatchedArgumentException.printSuggestions(e, command.getErr());
        command.getErr().println("Try '" + command.getCommandSpec().qualifiedName() + " --help'.");
        return USAGE;
    }

    private static int failure(Exception e, CommandLine command, ParseResult parsed) {
        String message = e.getMessage() == null || e.getMessage().isEmpty() ? e.toString() : e.getMessage();
        // An IOException often has nothing but a file's name for a message.
        String kind = e instanceof java.io.IOException && !message.contains(" ")
                ? e.getClass().getSimpleName().replace("Exception", "") + ": "
                : "";
        command.getErr()
                .println("jacquard: " + kind + message.lines().findFirst().orElse(""));
        reports(e, message).forEach(command.getErr()::println);
        boolean trace = command.getCommandSpec().root().userObject() instanceof Main m && m.stackTrace;
        if (trace) {
            e.printStackTrace(command.getErr());
        }
        return FAILED;
    }

    /// What ranks that have failed tell in a table; other messages are a line.
    private static List<String> reports(Exception e, String message) {
        List<String> lines = new ArrayList<>();
        if (message.startsWith(REPORT)) {
            message.lines().skip(1).forEach(lines::add);
        }
        for (Throwable beside : e.getSuppressed()) {
            String text = String.valueOf(beside.getMessage());
            if (text.startsWith(REPORT)) {
                text.lines().forEach(lines::add);
            }
        }
        return lines;
    }

    static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() {
            String version = Main.class.getPackage().getImplementationVersion();
            return new String[] {
                "jacquard " + (version == null ? "(not from a jar)" : version) + ", Java "
                        + System.getProperty("java.version")
            };
        }
    }
}
