package io.jacquard.cli;

import io.jacquard.data.TokenFile;
import io.jacquard.data.tokenizer.Tokenizer;
import io.jacquard.group.FlightReport;
import io.jacquard.io.CheckpointDirectory;
import io.jacquard.io.Json;
import io.jacquard.io.Safetensors;
import io.jacquard.io.SafetensorsEntry;
import io.jacquard.train.LoadedModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
        name = "inspect",
        mixinStandardHelpOptions = true,
        description = "Say what is in a run, a checkpoint, a .safetensors file, a token shard or a tokenizer.json,"
                + " and what the ranks of a run do, or did last.",
        footer = {
            "",
            "Example:",
            "  jacquard inspect runs/book",
            "  jacquard inspect data/book/train-00000.bin --json",
            "  jacquard inspect runs/book/ranks"
        })
final class InspectCommand implements Callable<Integer> {
    private static final int FIRST_TOKENS = 16;

    @Spec
    private @Nullable CommandSpec spec;

    @Parameters(paramLabel = "PATH", description = "What to look at.")
    private Path path = Path.of("");

    @Option(names = "--json", description = "Print it as JSON.")
    private boolean json;

    @Override
    public Integer call() throws Exception {
        var command = Objects.requireNonNull(spec).commandLine();
        Map<String, @Nullable Object> found = inspect(command.getErr()::println);
        if (json) {
            command.getOut().println(Json.render(found));
        } else {
            found.forEach((key, value) -> print(command.getOut(), key, value));
        }
        command.getOut().flush();
        return found.get("damage") == null ? 0 : Main.FAILED;
    }

    private static void print(java.io.PrintWriter out, String key, @Nullable Object value) {
        if (value instanceof List<?> list) {
            out.println(key + ":");
            list.forEach(item -> out.println("  " + item));
        } else if (value != null) {
            out.println(key + ": " + value);
        }
    }

    private Map<String, @Nullable Object> inspect(java.util.function.Consumer<String> report) throws IOException {
        String name = String.valueOf(path.getFileName());
        if (Files.exists(path.resolve("rank-0"))) {
            return ranks();
        }
        if (Files.isDirectory(path)) {
            return model(LoadedModel.find(path, report));
        }
        if (!Files.isRegularFile(path)) {
            throw new IllegalArgumentException("inspect: there is no " + path);
        }
        if (name.endsWith(".safetensors")) {
            return safetensors(path);
        }
        return name.endsWith(".json") ? tokenizer() : shard();
    }

    private Map<String, @Nullable Object> ranks() throws IOException {
        Map<String, @Nullable Object> found = new LinkedHashMap<>();
        found.put("recorders", path.toString());
        found.put(
                "ranks",
                FlightReport.ofDirectory(path).lines().map(l -> (Object) l).toList());
        return found;
    }

    private static Map<String, @Nullable Object> model(Path directory) throws IOException {
        Map<String, @Nullable Object> found = new LinkedHashMap<>();
        found.put("model", directory.toString());
        if (directory.getFileName().toString().startsWith("step-")) {
            found.put("damage", CheckpointDirectory.verify(directory).orElse(null));
        }
        found.put("config", Json.render(Json.readObject(directory.resolve("config.json"), 1 << 20)));
        Path weights = directory.resolve("model.safetensors");
        if (Files.exists(weights)) {
            found.putAll(safetensors(weights));
        }
        return found;
    }

    private static Map<String, @Nullable Object> safetensors(Path file) throws IOException {
        Map<String, @Nullable Object> found = new LinkedHashMap<>();
        try (Safetensors s = Safetensors.open(file)) {
            List<Object> tensors = new ArrayList<>();
            long elements = 0;
            for (SafetensorsEntry e : s.tensors()) {
                tensors.add(e.name() + " " + e.type() + " " + e.shape());
                elements += e.shape().stream().reduce(1L, Math::multiplyExact);
            }
            found.put("file", file.toString());
            found.put("bytes", Files.size(file));
            found.put("elements", elements);
            found.put("metadata", Json.render(new LinkedHashMap<>(s.metadata())));
            found.put("tensors", tensors);
        }
        return found;
    }

    private Map<String, @Nullable Object> tokenizer() throws IOException {
        Tokenizer t = Tokenizer.read(path);
        Map<String, @Nullable Object> found = new LinkedHashMap<>();
        found.put("tokenizer", path.toString());
        found.put("kind", t.getClass().getSimpleName());
        found.put("vocabulary", (long) t.vocabularySize());
        List<Object> special = new ArrayList<>();
        t.specialTokens().forEach((text, id) -> special.add(text + " = " + id));
        found.put("special tokens", special);
        return found;
    }

    private Map<String, @Nullable Object> shard() throws IOException {
        Map<String, @Nullable Object> found = new LinkedHashMap<>();
        try (TokenFile file = TokenFile.open(path)) {
            int n = (int) Math.min(FIRST_TOKENS, file.length());
            int[] first = new int[n];
            file.copy(0, first, 0, n);
            found.put("shard", path.toString());
            found.put("tokens", file.length());
            found.put("first", java.util.Arrays.toString(first));
            Path beside = path.resolveSibling("tokenizer.json");
            if (Files.isRegularFile(beside)) {
                found.put("first text", Json.render(Tokenizer.read(beside).decode(first)));
            }
        }
        return found;
    }
}
