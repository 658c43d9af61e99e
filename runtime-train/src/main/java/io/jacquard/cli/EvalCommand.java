package io.jacquard.cli;

import io.jacquard.data.Batches;
import io.jacquard.io.Json;
import io.jacquard.train.Evaluator;
import io.jacquard.train.LoadedModel;
import io.jacquard.train.Score;
import io.jacquard.train.TrainingData;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
        name = "eval",
        mixinStandardHelpOptions = true,
        description =
                "Score a model on prepared data: loss, perplexity, bits per byte. The score does not depend on the"
                        + " batch size.",
        footer = {"", "Example:", "  jacquard eval runs/book --data data/book"})
final class EvalCommand implements Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

    @Mixin
    private ModelOptions model = new ModelOptions();

    @Mixin
    private DebugOptions debugging = new DebugOptions();

    @Option(
            names = "--data",
            paramLabel = "DIR",
            required = true,
            description = "Data prepared with the model's tokenizer.")
    private Path data = Path.of("");

    @Option(
            names = "--split",
            paramLabel = "NAME",
            defaultValue = "val",
            description = "Shards to read: val or train (default: ${DEFAULT-VALUE}).")
    private String split = "val";

    @Option(
            names = "--sequences",
            paramLabel = "N",
            description = "Score N sequences, the same ones each time (default: all).")
    private long sequences = Long.MAX_VALUE;

    @Option(
            names = "--batch",
            paramLabel = "N",
            defaultValue = "8",
            description = "Sequences computed at once (default: ${DEFAULT-VALUE}).")
    private int batch = 8;

    @Option(names = "--json", description = "Print the score as JSON.")
    private boolean json;

    @Override
    public Integer call() throws Exception {
        var command = Objects.requireNonNull(spec).commandLine();
        debugging.apply(command);
        List<Path> shards = TrainingData.shards(data, split);
        if (shards.isEmpty()) {
            throw new IllegalArgumentException("eval: " + data + " has no " + split + "*.bin");
        }
        try (LoadedModel m = model.open(Terminal.of(command.getErr()));
                Batches batches = Batches.open(
                        shards,
                        m.decoder().config().context(),
                        m.decoder().config().vocabulary(),
                        0)) {
            Score score = new Evaluator(m.decoder(), m.tokenizer(), batch).score(batches, sequences);
            command.getOut().println(json ? json(m, score) : text(score));
            command.getOut().flush();
        }
        return 0;
    }

    private static String text(Score s) {
        return String.format(
                Locale.ROOT,
                "loss %.6f  perplexity %.4f  bits per byte %.4f  (%,d tokens, %,d bytes)",
                s.loss(),
                s.perplexity(),
                s.bitsPerByte(),
                s.tokens(),
                s.bytes());
    }

    private static String json(LoadedModel model, Score s) {
        Map<String, @Nullable Object> values = new LinkedHashMap<>();
        values.put("model", model.directory().toString());
        values.put("loss", Double.isFinite(s.loss()) ? s.loss() : null);
        values.put("perplexity", Double.isFinite(s.perplexity()) ? s.perplexity() : null);
        values.put("bits_per_byte", Double.isFinite(s.bitsPerByte()) ? s.bitsPerByte() : null);
        values.put("tokens", s.tokens());
        values.put("bytes", s.bytes());
        return Json.render(values);
    }
}
