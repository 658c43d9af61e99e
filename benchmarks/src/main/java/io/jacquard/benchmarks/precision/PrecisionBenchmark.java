package io.jacquard.benchmarks.precision;

import io.jacquard.benchmarks.suite.BenchRecord;
import io.jacquard.ops.Recipe;
import io.jacquard.train.ConfigReader;
import io.jacquard.train.TrainConfig;
import io.jacquard.train.TrainListener;
import io.jacquard.train.Trainer;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Trains the quickstart's model in each precision, by the same data and seeds, and compares validation losses at the
/// end with those in F32.
public final class PrecisionBenchmark {
    private static final String F32 = "f32";
    private static final String BF16 = "bf16";

    /// BF16 for weights, gradients and the optimizer's state: no precision that a run can choose by one key.
    private static final String BF16_STATE = "bf16-state";

    /// What a precision may cost: FP8 0.5 %, 4-bit weights 2 %.
    private static double goal(String precision) {
        return precision.startsWith("int4") ? 0.02 : 0.005;
    }

    private Path data = Path.of("runs/quickstart/data");
    private int steps = 300;
    private int seeds = 2;
    private List<String> precisions = Stream.concat(
                    Stream.of(F32, BF16, BF16_STATE),
                    Stream.of(Recipe.values())
                            .filter(r -> r.isLow() && !r.isFrozen())
                            .map(Recipe::label))
            .toList();
    private @Nullable BenchRecord record;

    private PrecisionBenchmark(String[] args) throws IOException {
        for (int i = 0; i < args.length; i += 2) {
            switch (args[i]) {
                case "--data" -> data = Path.of(value(args, i));
                case "--steps" -> steps = Integer.parseInt(value(args, i));
                case "--seeds" -> seeds = Integer.parseInt(value(args, i));
                case "--precisions" -> precisions = List.of(value(args, i).split(",", -1));
                case "--out" ->
                    record = new BenchRecord(
                            "precision",
                            Path.of(value(args, i)),
                            BenchRecord.command("precision-benchmark", List.of(args)));
                default -> throw new IllegalArgumentException("unknown option " + args[i]);
            }
        }
        if (!precisions.getFirst().equals(F32)) {
            throw new IllegalArgumentException("--precisions " + String.join(",", precisions)
                    + ": expected f32 first, which the others are compared with");
        }
    }

    private static String value(String[] args, int option) {
        if (option + 1 == args.length) {
            throw new IllegalArgumentException(args[option] + " without a value; expected one behind each option");
        }
        return args[option + 1];
    }

    /// `[--data DIRECTORY] [--steps 300] [--seeds 2] [--precisions f32,fp8-current] [--out FILE]`
    public static void main(String[] args) throws IOException {
        System.exit(run(args, System.err));
    }

    /// The exit code: 0; 2 behind a line on `errors` where the arguments are wrong.
    static int run(String[] args, PrintStream errors) throws IOException {
        PrecisionBenchmark benchmark;
        try {
            benchmark = new PrecisionBenchmark(args);
        } catch (IllegalArgumentException e) {
            errors.println("precision-benchmark: " + e.getMessage());
            return 2;
        }
        benchmark.run();
        return 0;
    }

    private void run() throws IOException {
        System.out.println("| precision | validation loss | against f32 | goal |");
        System.out.println("| --- | --- | --- | --- |");
        Measured f32 = null;
        for (String precision : precisions) {
            Measured m = measure(precision);
            f32 = f32 == null ? m : f32;
            double gap = m.loss / f32.loss - 1;
            System.out.printf(
                    Locale.ROOT,
                    "| %s | %.4f | %+.2f %% | %s |%n",
                    precision,
                    m.loss,
                    100 * gap,
                    precision.equals(F32) ? "" : String.format(Locale.ROOT, "%.1f %%", 100 * goal(precision)));
            if (record != null) {
                Map<String, @Nullable Object> row = new LinkedHashMap<>();
                row.put("name", precision);
                row.put("steps", steps);
                row.put("losses", m.losses);
                row.put("loss", m.loss);
                row.put("gap", gap);
                row.put("goal", precision.equals(F32) ? null : goal(precision));
                record.add(row);
                record.write(precision.equals(precisions.getLast()));
            }
        }
    }

    /// @param losses of the validation set, by seed
    private record Measured(List<Double> losses, double loss) {}

    private Measured measure(String precision) throws IOException {
        List<Double> losses = new ArrayList<>();
        for (int seed = 1; seed <= seeds; seed++) {
            Path run = Files.createTempDirectory("precision");
            try {
                Trainer.Outcome outcome = new Trainer(config(precision, seed, run), TrainListener.SILENT).start();
                if (outcome.score() == null) {
                    throw new IllegalArgumentException("precision-benchmark: " + data + " has no validation set");
                }
                losses.add(outcome.score().loss());
            } finally {
                delete(run);
            }
        }
        double mean = losses.stream().mapToDouble(l -> l).average().orElse(Double.NaN);
        return new Measured(losses, mean);
    }

    private TrainConfig config(String precision, int seed, Path run) {
        boolean isDtype = List.of(F32, BF16, BF16_STATE).contains(precision);
        Map<String, Object> settings = new LinkedHashMap<>();
        settings.put("run", run);
        settings.put("data.directory", data);
        settings.put("model.layers", 4);
        settings.put("model.width", 192);
        settings.put("training.steps", steps);
        settings.put("training.seed", seed);
        settings.put("training.gapSteps", 0);
        settings.put(
                isDtype ? "training.dtype" : "training.precision", precision.equals(BF16_STATE) ? BF16 : precision);
        if (precision.equals(BF16_STATE)) {
            settings.put("training.gradientDtype", BF16);
            settings.put("optimizer.stateDtype", BF16);
        }
        settings.put("optimizer.learningRate", 0.002);
        settings.put("optimizer.warmup", steps / 10);
        settings.put("evaluation.every", 0);
        settings.put("evaluation.sequences", 128);
        settings.put("checkpoints.every", 0);
        ConfigReader reader = new ConfigReader();
        settings.forEach((key, value) -> reader.set(key, value, "precision-benchmark"));
        return reader.read();
    }

    private static void delete(Path directory) throws IOException {
        try (Stream<Path> all = Files.walk(directory)) {
            for (Path p : all.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(p);
            }
        }
    }
}
