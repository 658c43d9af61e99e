package io.jacquard.cli;

import io.jacquard.data.Corpus;
import io.jacquard.data.Prepare;
import io.jacquard.group.Watch;
import io.jacquard.io.AtomicFiles;
import io.jacquard.tensor.DType;
import io.jacquard.train.ConfigReader;
import io.jacquard.train.DataPreparation;
import io.jacquard.train.Evaluator;
import io.jacquard.train.Generator;
import io.jacquard.train.LoadedModel;
import io.jacquard.train.Metrics;
import io.jacquard.train.QuickstartText;
import io.jacquard.train.Sampling;
import io.jacquard.train.TrainConfig;
import io.jacquard.train.TrainListener;
import io.jacquard.train.Trainer;
import io.jacquard.train.TrainingData;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

@Command(
        name = "quickstart",
        mixinStandardHelpOptions = true,
        description =
                "Train a small GPT on real text, here and now: by default five minutes on the sources of this JDK,"
                        + " then a sample of what it learned.",
        footer = {
            "",
            "Example:",
            "  jacquard quickstart",
            "  jacquard quickstart --text notes/ --minutes 10 --run runs/notes"
        })
final class QuickstartCommand implements Callable<Integer> {
    private static final int VOCABULARY = 4096;
    private static final int TRIAL_STEPS = 24;

    /// Names prepared data for a Java that comes without its sources.
    private static final String DATA = "jacquard.quickstart.data";

    @Spec
    private @Nullable CommandSpec spec;

    @Option(names = "--text", paramLabel = "PATH", description = "Text file, folder or archive to learn from.")
    private @Nullable Path text;

    @Option(
            names = "--minutes",
            paramLabel = "N",
            defaultValue = "5",
            description = "How long to train (default: ${DEFAULT-VALUE}).")
    private double minutes = 5;

    @Option(
            names = "--steps",
            paramLabel = "N",
            description = "Train for this many steps, however long they take (default: as many as fit the time).")
    private @Nullable Integer steps;

    @Option(
            names = "--run",
            paramLabel = "DIR",
            defaultValue = "runs/quickstart",
            description = "Directory for everything (default: ${DEFAULT-VALUE}).")
    private Path run = Path.of("runs/quickstart");

    @Option(
            names = "--device",
            paramLabel = "DEVICE",
            defaultValue = "cpu",
            description = "Device to train on (default: ${DEFAULT-VALUE}).")
    private String device = "cpu";

    @Mixin
    private PrecisionOption precision = new PrecisionOption();

    @Mixin
    private RankOptions ranks = new RankOptions();

    @Mixin
    private DebugOptions debugging = new DebugOptions();

    @Override
    public Integer call() throws Exception {
        var command = Objects.requireNonNull(spec).commandLine();
        debugging.apply(command);
        if (minutes <= 0 || steps != null && steps < 1) {
            throw new ParameterException(command, "--minutes and --steps must be positive");
        }
        ranks.aloneOrThreads(command, "quickstart");
        try {
            precision.apply(new ConfigReader()).read(); // before anything is prepared
        } catch (IllegalArgumentException e) {
            throw new ParameterException(command, String.valueOf(e.getMessage()), e);
        }
        Terminal terminal = Terminal.of(command.getErr());
        boolean resume = Trainer.hasState(run);
        TrainConfig config;
        if (resume) {
            terminal.line(run + " holds a run already: going on with it (delete the directory to start anew)");
            config = precision
                    .apply(Trainer.configOf(run).set("run", run, "--run"))
                    .read();
        } else {
            prepare(terminal);
            config = choose(terminal);
        }
        tellEntropy(terminal, config);
        Trainer.Outcome outcome = TrainRun.run(command, config, ranks, resume, false);
        if (outcome != null && outcome.complete()) {
            show(command.getOut(), terminal, outcome);
        }
        return 0;
    }

    private @Nullable Path prepared() {
        String data = System.getProperty(DATA);
        return text == null && data != null ? Path.of(data) : null;
    }

    private Path data() {
        return Objects.requireNonNullElseGet(prepared(), () -> run.resolve("data"));
    }

    private void prepare(Terminal terminal) throws IOException {
        Path prepared = prepared();
        if (prepared != null) {
            terminal.line("reading the prepared sources of a JDK in " + prepared);
            return;
        }
        Path source = text != null ? text : QuickstartText.find(run.resolve("text"));
        terminal.line("reading " + source + (text == null ? " (the sources of this JDK)" : ""));
        Corpus.Options options =
                new Corpus.Options(text == null ? Set.of("java") : Set.of(), Corpus.Options.DEFAULT.maxBytes(), null);
        Prepare.Result r = DataPreparation.run(
                new DataPreparation.Request(
                        List.of(source),
                        data(),
                        options,
                        null,
                        VOCABULARY,
                        0.05,
                        100_000_000,
                        false,
                        Runtime.getRuntime().availableProcessors()),
                new PrepareProgress(terminal));
        terminal.line(PrepareProgress.summary(r));
    }

    /// The number of steps is what this machine does in the time; a learning rate that falls to its floor needs to
    /// know it beforehand, so a few steps are timed first.
    private TrainConfig choose(Terminal terminal) throws IOException {
        if (steps != null) {
            return settings(steps, run).read();
        }
        terminal.line("timing a few steps to see how many fit into " + TrainProgress.duration(60 * minutes));
        Path trial = run.resolve("trial");
        double[] seconds = new double[TRIAL_STEPS + 1];
        Trainer trainer = new Trainer(
                settings(TRIAL_STEPS, trial)
                        .set("evaluation.sequences", 1, "quickstart")
                        .read(),
                new TrainListener() {
                    @Override
                    public void stepped(Metrics.Step s) {
                        seconds[(int) s.step()] = s.seconds();
                    }
                });
        ranks.run(Objects.requireNonNull(spec).commandLine(), device, Watch.DEFAULT, trainer::start);
        AtomicFiles.deleteTree(trial);
        // The first half warms up the JVM's compiler.
        double perStep = (seconds[TRIAL_STEPS] - seconds[TRIAL_STEPS / 2]) / (TRIAL_STEPS - TRIAL_STEPS / 2);
        long fitting = Math.max(20, Math.round(60 * minutes / perStep / 10) * 10);
        return settings(fitting, run).read();
    }

    private ConfigReader settings(long count, Path directory) {
        long part = Math.max(1, count / 6);
        return precision.apply(new ConfigReader()
                .yaml("quickstart", """
                model: {layers: 4, heads: 6, width: 192, context: 256}
                training: {microBatch: 8}
                optimizer: {learningRate: 2e-3, beta2: 0.99}
                evaluation: {sequences: 32}
                checkpoints: {keep: 2}
                """)
                .set("training.steps", count, "quickstart")
                .set("optimizer.warmup", Math.min(100, count / 10), "quickstart")
                .set("evaluation.every", part, "quickstart")
                .set("samples.every", 2 * part, "quickstart")
                .set("samples.tokens", 60, "quickstart")
                .set("checkpoints.every", 2 * part, "quickstart")
                .set("data.directory", data(), "quickstart")
                .set("run", directory, "--run")
                .set("device", device, "--device"));
    }

    private static void tellEntropy(Terminal terminal, TrainConfig config) throws IOException {
        try (TrainingData d = TrainingData.open(config)) {
            double entropy = Evaluator.unigramEntropy(d.train(), d.tokenizer().vocabularySize(), Long.MAX_VALUE);
            terminal.line(String.format(
                    Locale.ROOT,
                    "guessing by token frequency alone would score a loss of %.3f, blind" + " guessing %.3f",
                    entropy,
                    Math.log(d.tokenizer().vocabularySize())));
        }
    }

    private void show(PrintWriter out, Terminal terminal, Trainer.Outcome outcome) throws IOException {
        String prompt = text == null ? "    /**\n     * Returns " : "";
        terminal.line("the model writes:");
        try (LoadedModel m = LoadedModel.open(run, device, DType.F32, terminal::line)) {
            out.print(prompt);
            new Generator(m.decoder(), m.tokenizer()).generate(prompt, 200, new Sampling(0.8f, 40, 1f), 1, piece -> {
                out.print(piece);
                out.flush();
            });
            out.println();
            out.flush();
        }
        terminal.line("");
        if (outcome.score() != null) {
            Path png = run.resolve("loss.png"); // not drawn by a runtime without AWT
            terminal.line(String.format(
                    Locale.ROOT,
                    "validation loss %.3f after %d steps; the curve is in %s",
                    outcome.score().loss(),
                    outcome.step(),
                    Files.exists(png) ? png : run.resolve("loss.svg")));
        }
        terminal.line("try next:");
        terminal.line("  jacquard generate " + run + " --prompt 'public final class '");
        terminal.line("  jacquard eval " + run + " --data " + data());
        terminal.line("  jacquard resume " + run + " --set training.steps=" + 2 * outcome.step());
        terminal.line(
                "  jacquard prepare YOUR-TEXT --out data/mine && jacquard train --data data/mine --run runs/mine");
    }
}
