package io.jacquard.train;

import io.jacquard.data.Corpus;
import io.jacquard.data.Prepare;
import io.jacquard.data.tokenizer.BpeTrainer;
import io.jacquard.data.tokenizer.ByteTokenizer;
import io.jacquard.data.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// Text to a data directory that a run can read: a tokenizer, learned from the text or given, and token shards.
///
/// A second run with the same settings finds what is there and goes on where the first was cut off.
public final class DataPreparation {
    /// How much of the text a tokenizer learns from, in characters: more changes the merges little and costs
    /// memory.
    private static final long TOKENIZER_CHARS = 64L << 20;

    private static final String FILE = "tokenizer.json";

    /// What to prepare.
    ///
    /// @param tokenizer a `tokenizer.json` to use, or null to make one
    /// @param vocabulary tokens to learn; 0 for one token per byte
    public record Request(
            List<Path> sources,
            Path out,
            Corpus.Options options,
            @Nullable Path tokenizer,
            int vocabulary,
            double validationFraction,
            long shardTokens,
            boolean overwrite,
            int threads) {}

    private DataPreparation() {}

    /// Prepares the data.
    ///
    /// @param doing hears a word for what is being done and its share of 1
    public static Prepare.Result run(Request request, Progress doing) throws IOException {
        Files.createDirectories(request.out);
        Tokenizer tokenizer = tokenizer(request, doing);
        Path file = request.out.resolve(FILE);
        int end = tokenizer
                .endOfText()
                .orElseThrow(() -> new IllegalArgumentException(file + ": the tokenizer has no"
                        + " end-of-text token, which stands between documents; add <|endoftext|> as a special token"));
        Prepare.Settings settings = new Prepare.Settings(
                request.sources,
                request.out,
                request.options,
                Prepare.Division.AUTO,
                request.validationFraction,
                request.shardTokens,
                hash(file),
                tokenizer.vocabularySize(),
                end);
        return Prepare.run(
                settings,
                tokenizer::encodeOrdinary,
                request.threads,
                request.overwrite,
                (done, total, _) -> doing.update("encoding", total == 0 ? 1 : (double) done / total));
    }

    /// Hears how far the preparation is.
    @FunctionalInterface
    public interface Progress {
        /// `share` is from 0 to 1, or negative where unknown.
        void update(String doing, double share);
    }

    private static Tokenizer tokenizer(Request request, Progress doing) throws IOException {
        Path file = request.out.resolve(FILE);
        if (Files.exists(file) && !request.overwrite) {
            return existing(request, file);
        }
        Tokenizer made;
        if (request.tokenizer != null) {
            made = Tokenizer.read(request.tokenizer);
        } else if (request.vocabulary == 0) {
            made = new ByteTokenizer();
        } else {
            made = BpeTrainer.ofVocabularySize(request.vocabulary)
                    .onProgress(describe(doing))
                    .train(texts(request));
        }
        made.save(file);
        return made;
    }

    private static Tokenizer existing(Request request, Path file) throws IOException {
        Tokenizer tokenizer = Tokenizer.read(file);
        String wanted = null;
        if (request.tokenizer != null) {
            wanted = hash(request.tokenizer).equals(hash(file)) ? null : "that of " + request.tokenizer;
        } else if (request.vocabulary != 0 && tokenizer.vocabularySize() > request.vocabulary) {
            wanted = "one of " + request.vocabulary + " tokens";
        } else if (request.vocabulary == 0 && !(tokenizer instanceof ByteTokenizer)) {
            wanted = "one token per byte";
        }
        if (wanted != null) {
            throw new IllegalArgumentException("prepare: " + file + " is another tokenizer than the one asked for ("
                    + wanted + "); choose another --out, or --overwrite");
        }
        return tokenizer;
    }

    private static Consumer<BpeTrainer.Progress> describe(Progress doing) {
        return p -> doing.update(
                p.doing().equals("merging") ? "learning tokens" : "counting words",
                p.total() <= 0 ? -1 : (double) p.done() / p.total());
    }

    private static List<String> texts(Request request) throws IOException {
        List<String> texts = new ArrayList<>();
        long[] chars = new long[1];
        Corpus.open(request.sources, request.options).visit((document, _) -> {
            if (chars[0] < TOKENIZER_CHARS) {
                texts.add(document.text());
                chars[0] += document.text().length();
            }
        });
        return texts;
    }

    private static String hash(Path file) throws IOException {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }
}
