package io.jacquard.cli;

import io.jacquard.data.Corpus;
import io.jacquard.data.Prepare;
import io.jacquard.io.Json;
import io.jacquard.train.DataPreparation;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
        name = "prepare",
        mixinStandardHelpOptions = true,
        description = "Turn text into a tokenizer and token shards to train on. Interrupted, it goes on where it was.",
        footer = {
            "",
            "Example:",
            "  jacquard prepare book.txt --out data/book",
            "  jacquard prepare src/ lib.zip --extensions java,md --vocabulary 8192 --out data/code",
            "  jacquard prepare stories.jsonl --field story --out data/stories"
        })
final class PrepareCommand implements Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

    @Parameters(
            paramLabel = "SOURCE",
            arity = "1..*",
            description = "Text files, folders, zip or jar archives. Each file is a document; of a .jsonl file, each"
                    + " line.")
    private List<Path> sources = new ArrayList<>();

    @Option(
            names = {"-o", "--out"},
            paramLabel = "DIR",
            required = true,
            description = "Directory for tokenizer.json and the shards.")
    private Path out = Path.of("");

    @ArgGroup
    private Vocabulary vocabulary = new Vocabulary();

    static final class Vocabulary {
        @Option(
                names = "--vocabulary",
                paramLabel = "N",
                defaultValue = "4096",
                description = "Tokens to learn from the text (default: ${DEFAULT-VALUE}).")
        private int size = 4096;

        @Option(names = "--tokenizer", paramLabel = "FILE", description = "Use this tokenizer.json.")
        private @Nullable Path file;

        @Option(names = "--bytes", description = "Use one token for each byte.")
        private boolean bytes;
    }

    @Option(
            names = "--extensions",
            paramLabel = "EXT",
            split = ",",
            description = "Read only files with these extensions inside folders and archives (default: all).")
    private List<String> extensions = new ArrayList<>();

    @Option(names = "--separator", paramLabel = "LINE", description = "A line that divides one file into documents.")
    private @Nullable String separator;

    @Option(
            names = "--field",
            paramLabel = "NAME",
            defaultValue = Corpus.Options.FIELD,
            description = "Member of each line of a .jsonl file that holds the text (default: ${DEFAULT-VALUE}).")
    private String field = Corpus.Options.FIELD;

    @Option(
            names = "--max-bytes",
            paramLabel = "N",
            defaultValue = "16777216",
            description = "Leave out larger documents (default: ${DEFAULT-VALUE}).")
    private long maxBytes = 16 << 20;

    @Option(
            names = "--validation",
            paramLabel = "SHARE",
            defaultValue = "0.05",
            description = "Share of the text kept for validation (default: ${DEFAULT-VALUE}).")
    private double validation = 0.05;

    @Option(
            names = "--shard-tokens",
            paramLabel = "N",
            defaultValue = "100000000",
            description = "Tokens of a shard (default: ${DEFAULT-VALUE}).")
    private long shardTokens = 100_000_000;

    @Option(names = "--threads", paramLabel = "N", description = "Threads that encode (default: one per core).")
    private int threads = Runtime.getRuntime().availableProcessors();

    @Option(names = "--overwrite", description = "Replace what the directory holds.")
    private boolean overwrite;

    @Option(names = "--json", description = "Print the summary as JSON.")
    private boolean json;

    @Override
    public Integer call() throws Exception {
        var command = Objects.requireNonNull(spec).commandLine();
        Terminal terminal = Terminal.of(command.getErr());
        Corpus.Options options = new Corpus.Options(new TreeSet<>(extensions), maxBytes, separator, field);
        Prepare.Result result = DataPreparation.run(
                new DataPreparation.Request(
                        sources,
                        out,
                        options,
                        vocabulary.file,
                        vocabulary.bytes ? 0 : vocabulary.size,
                        validation,
                        shardTokens,
                        overwrite,
                        threads),
                new PrepareProgress(terminal));
        terminal.line(PrepareProgress.summary(result));
        command.getOut().println(json ? json(result) : out.toString());
        command.getOut().flush();
        return 0;
    }

    private String json(Prepare.Result r) {
        Map<String, @Nullable Object> skipped = new TreeMap<>();
        r.skipped().forEach((reason, count) -> skipped.put(reason.name().toLowerCase(java.util.Locale.ROOT), count));
        Map<String, @Nullable Object> values = new LinkedHashMap<>();
        values.put("directory", out.toString());
        values.put("documents", r.documents());
        values.put("train_tokens", r.tokens(Prepare.Split.TRAIN));
        values.put("validation_tokens", r.tokens(Prepare.Split.VALIDATION));
        values.put("skipped", skipped);
        return Json.render(values);
    }
}
