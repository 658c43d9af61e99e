package io.jacquard.cli;

import io.jacquard.data.Batches;
import io.jacquard.io.AtomicFiles;
import io.jacquard.io.Json;
import io.jacquard.quantize.Float8Matrix;
import io.jacquard.quantize.Int4Groups;
import io.jacquard.quantize.Int4Rounding;
import io.jacquard.quantize.ModelQuantizer;
import io.jacquard.quantize.Rounding;
import io.jacquard.train.LoadedModel;
import io.jacquard.train.QuantizedModel;
import io.jacquard.train.TrainingData;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
        name = "quantize",
        mixinStandardHelpOptions = true,
        description = {
            "Round the linear layers of a model to four or eight bits: a model directory in, one out, with a report.",
            "Weights are kept as in compressed-tensors (pack-quantized, float-quantized); everything else in --dtype."
        },
        footer = {
            "",
            "Example:",
            "  jacquard quantize runs/book book-int4 --data data/book",
            "  jacquard eval book-int4 --data data/book",
            "  jacquard quantize runs/book book-fp8 --data data/book --method fp8"
        })
final class QuantizeCommand implements Callable<Integer> {
    private static final int WORST = 5;

    @Spec
    private @Nullable CommandSpec spec;

    @Mixin
    private ModelOptions model = new ModelOptions();

    @Parameters(index = "1", paramLabel = "OUT", description = "Directory to make; it must not exist.")
    private Path out = Path.of("");

    @Option(
            names = "--data",
            paramLabel = "DIR",
            description = "Data prepared with the model's tokenizer: its train shards to calibrate, its val shards to"
                    + " measure perplexity before and after.")
    private @Nullable Path data;

    @Option(
            names = "--method",
            paramLabel = "NAME",
            defaultValue = "gptq",
            description = {
                "fp8: 8-bit floats (E4M3), a scale for each row, without data. The others are of four bits. rtn: each"
                        + " weight to the nearest value, without data. gptq: errors made up for by the weights still"
                        + " exact. adaround: up or down is learned; slow (default: ${DEFAULT-VALUE})."
            })
    private String method = "gptq";

    @Option(
            names = "--group",
            paramLabel = "N",
            defaultValue = "64",
            description = "Weights that share a scale: 32, 64, 128 or another divisor of every layer's inputs"
                    + " (default: ${DEFAULT-VALUE}).")
    private int group = 64;

    @Option(names = "--asymmetric", description = "Each group has a zero of its own, too.")
    private boolean asymmetric;

    @Option(
            names = "--sequences",
            paramLabel = "N",
            defaultValue = "64",
            description = "Sequences to calibrate on, and at most to score (default: ${DEFAULT-VALUE}).")
    private int sequences = 64;

    @Option(names = "--json", description = "Print the report as JSON; it is in OUT/quantize.json, too.")
    private boolean json;

    @Override
    public Integer call() throws Exception {
        var command = Objects.requireNonNull(spec).commandLine();
        Terminal terminal = Terminal.of(command.getErr());
        Rounding rounding = rounding();
        if (rounding.needsData() && data == null) {
            throw new ParameterException(
                    command, "--method " + method + " needs --data to calibrate on; or take --method rtn");
        }
        if (Files.exists(out)) {
            throw new IllegalArgumentException("quantize: " + out + " exists already; choose another directory");
        }
        try (LoadedModel m = model.open(terminal);
                Batches train = batches(m, "train");
                Batches validation = batches(m, "val")) {
            QuantizedModel.Report report = new QuantizedModel(m, rounding, sequences)
                    .write(out, train, validation, layer -> terminal.status("quantizing " + layer.name()));
            String text = Json.render(report.json());
            AtomicFiles.writeText(out.resolve("quantize.json"), text + "\n");
            if (json) {
                command.getOut().println(text);
            } else {
                print(report, command.getOut());
            }
            command.getOut().flush();
        }
        return 0;
    }

    private Rounding rounding() {
        var command = Objects.requireNonNull(spec).commandLine();
        if (method.equals(Float8Matrix.ROUNDING.label())) {
            if (asymmetric || command.getParseResult().hasMatchedOption("--group")) {
                throw new ParameterException(
                        command, "--method fp8 has a scale for each row; --group and --asymmetric are for four bits");
            }
            return Float8Matrix.ROUNDING;
        }
        return Stream.of(Int4Rounding.values())
                .filter(r -> r.label().equals(method))
                .findFirst()
                .map(r -> new Int4Groups(r, group, !asymmetric))
                .orElseThrow(() -> new ParameterException(
                        command, "--method is '" + method + "'; expected fp8, rtn, gptq or adaround"));
    }

    private @Nullable Batches batches(LoadedModel m, String split) throws Exception {
        if (data == null) {
            return null;
        }
        List<Path> shards = TrainingData.shards(data, split);
        if (shards.isEmpty()) {
            throw new IllegalArgumentException("quantize: " + data + " has no " + split + "*.bin");
        }
        return Batches.open(
                shards, m.decoder().config().context(), m.decoder().config().vocabulary(), 0);
    }

    private static void print(QuantizedModel.Report r, PrintWriter to) {
        to.printf(
                Locale.ROOT,
                "%,d bytes of weights became %,d (%.2f of them); linear layers have %.2f bits a weight%n",
                r.bytesBefore(),
                r.bytesAfter(),
                r.bytesAfter() / (double) r.bytesBefore(),
                r.bitsPerWeight());
        if (r.before() != null && r.after() != null) {
            to.printf(
                    Locale.ROOT,
                    "perplexity %.4f became %.4f (%+.2f %%; loss %.4f became %.4f) on %,d tokens%n",
                    r.before().perplexity(),
                    r.after().perplexity(),
                    100 * (r.after().perplexity() / r.before().perplexity() - 1),
                    r.before().loss(),
                    r.after().loss(),
                    r.after().tokens());
        }
        to.println("worst layers, error of outputs (of weights):");
        r.layers().stream()
                .sorted(Comparator.comparingDouble(QuantizeCommand::error).reversed())
                .limit(WORST)
                .forEach(l -> to.printf(
                        Locale.ROOT,
                        "  %-40s %s (%.2f %%)%n",
                        l.name(),
                        Double.isNaN(l.outputError())
                                ? "unknown"
                                : String.format(Locale.ROOT, "%.2f %%", 100 * l.outputError()),
                        100 * l.weightError()));
    }

    private static double error(ModelQuantizer.Layer l) {
        return Double.isNaN(l.outputError()) ? l.weightError() : l.outputError();
    }
}
