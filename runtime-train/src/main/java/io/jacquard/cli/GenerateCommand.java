package io.jacquard.cli;

import io.jacquard.io.Json;
import io.jacquard.train.Generator;
import io.jacquard.train.LoadedModel;
import io.jacquard.train.Sampling;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
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
        name = "generate",
        mixinStandardHelpOptions = true,
        description = "Let a model continue a text.",
        footer = {"", "Example:", "  jacquard generate runs/book --prompt 'Once upon a time' --tokens 200 --seed 7"})
final class GenerateCommand implements Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

    @Mixin
    private ModelOptions model = new ModelOptions();

    @Mixin
    private DebugOptions debugging = new DebugOptions();

    @Option(
            names = {"-p", "--prompt"},
            paramLabel = "TEXT",
            defaultValue = "",
            description = "Text to continue (default: none, begin a document).")
    private String prompt = "";

    @Option(
            names = {"-n", "--tokens"},
            paramLabel = "N",
            defaultValue = "200",
            description = "Most tokens to write (default: ${DEFAULT-VALUE}); the model may end earlier.")
    private int tokens = 200;

    @Option(
            names = "--temperature",
            paramLabel = "T",
            defaultValue = "0.8",
            description = "Randomness (default: ${DEFAULT-VALUE}); 0 always takes the likeliest token.")
    private float temperature = 0.8f;

    @Option(
            names = "--top-k",
            paramLabel = "K",
            defaultValue = "40",
            description = "Choose among the K likeliest tokens (default: ${DEFAULT-VALUE}); 0 for all.")
    private int topK = 40;

    @Option(
            names = "--top-p",
            paramLabel = "P",
            defaultValue = "1",
            description = "Choose among the likeliest tokens that reach probability P (default: ${DEFAULT-VALUE}).")
    private float topP = 1;

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "1",
            description = "Seed (default: ${DEFAULT-VALUE}): the same one writes the same text.")
    private long seed = 1;

    @Option(names = "--json", description = "Print prompt and text as JSON, at the end.")
    private boolean json;

    @Override
    public Integer call() throws Exception {
        var command = Objects.requireNonNull(spec).commandLine();
        debugging.apply(command);
        Sampling sampling = new Sampling(temperature, topK, topP);
        PrintWriter out = command.getOut();
        try (LoadedModel m = model.open(Terminal.of(command.getErr()))) {
            Generator generator = new Generator(m.decoder(), m.tokenizer());
            if (json) {
                StringBuilder text = new StringBuilder();
                long made = generator.generate(prompt, tokens, sampling, seed, text::append);
                Map<String, @Nullable Object> values = new LinkedHashMap<>();
                values.put("model", m.directory().toString());
                values.put("prompt", prompt);
                values.put("text", text.toString());
                values.put("tokens", made);
                out.println(Json.render(values));
            } else {
                out.print(prompt);
                generator.generate(prompt, tokens, sampling, seed, piece -> {
                    out.print(piece);
                    out.flush();
                });
                out.println();
            }
            out.flush();
        }
        return 0;
    }
}
