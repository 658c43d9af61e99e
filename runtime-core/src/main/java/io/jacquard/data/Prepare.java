package io.jacquard.data;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Function;

/// Turns a corpus into token shards `train-00000.bin`, `validation-00000.bin`, ... and a manifest `prepare.json`.
///
/// Each document is preceded by the end-of-text token, and a shard ends with a document, so that the first token of
/// every document is predicted from end-of-text. The output is a function of sources and settings, byte for byte. A run
/// that was cut off continues after its last finished shards; a run that is complete does nothing; one with other
/// settings is refused unless it may overwrite.
public final class Prepare {
    private static final int GROUP_CHARS = 4 << 20;

    private final Settings settings;
    private final Function<String, int[]> encode;
    private final int threads;
    private final Progress progress;
    private final PrepareManifest manifest;
    private final Map<Split, ShardWriter> writers = new EnumMap<>(Split.class);
    private final List<Document> group = new ArrayList<>();
    private long groupChars;
    private long documents;

    /// Which part of the data a shard belongs to.
    public enum Split {
        TRAIN,
        VALIDATION
    }

    /// How the validation part is chosen.
    public enum Division {
        /// `TAILS` for a corpus of a single document, else `DOCUMENTS`.
        AUTO,
        /// Whole documents, by their content hash: a document stays in its part when others are added.
        DOCUMENTS,
        /// The end of every document, cut after a line.
        TAILS
    }

    /// What to make.
    ///
    /// @param validationFraction part of the text that goes to validation, from 0 to below 1
    /// @param shardTokens a shard is closed with the document that reaches this number of tokens
    /// @param tokenizer identifies the tokenizer, by name or by the hash of its file; part of the settings that a
    ///     second run is compared with
    /// @param vocabulary number of ids
    public record Settings(
            List<Path> sources,
            Path out,
            Corpus.Options options,
            Division division,
            double validationFraction,
            long shardTokens,
            String tokenizer,
            int vocabulary,
            int endOfText) {
        /// Checks the ranges.
        public Settings {
            sources = List.copyOf(sources);
            if (!(validationFraction >= 0 && validationFraction < 1)) {
                throw new IllegalArgumentException(
                        "prepare: validation fraction " + validationFraction + "; expected 0 to below 1");
            }
            if (shardTokens < 1 || shardTokens > TokenFileWriter.MAX_TOKENS) {
                throw new IllegalArgumentException(
                        "prepare: " + shardTokens + " tokens per shard; expected 1 to " + TokenFileWriter.MAX_TOKENS);
            }
            if (endOfText < 0 || endOfText >= vocabulary) {
                throw new IllegalArgumentException(
                        "prepare: end of text " + endOfText + "; expected 0 to " + (vocabulary - 1));
            }
        }
    }

    /// Hears how far a run is.
    @FunctionalInterface
    public interface Progress {
        /// Called now and then, and once at the end, from the calling thread.
        void update(long bytesDone, long bytesTotal, long documents);
    }

    /// One finished file.
    public record Shard(Split split, String file, long documents, long tokens) {}

    /// What a run has made.
    ///
    /// @param division the one that was applied, never `AUTO`
    /// @param documents documents read; with `TAILS` each may be in both parts
    /// @param skipped files and documents left out, by reason
    /// @param fresh false if everything was there already
    public record Result(
            List<Shard> shards, Division division, long documents, Map<Corpus.Skip, Long> skipped, boolean fresh) {
        /// Tokens of one part.
        public long tokens(Split split) {
            return shards.stream()
                    .filter(shard -> shard.split == split)
                    .mapToLong(Shard::tokens)
                    .sum();
        }
    }

    private Prepare(
            Settings settings,
            Function<String, int[]> encode,
            int threads,
            Progress progress,
            PrepareManifest manifest) {
        this.settings = settings;
        this.encode = encode;
        this.threads = threads;
        this.progress = progress;
        this.manifest = manifest;
    }

    /// Makes what the settings ask for, continues where a run was cut off, or finds it done.
    ///
    /// @param encode text to ids, without special tokens; called from several threads if `threads` is above 1
    /// @param overwrite deletes what an earlier run with other settings made
    /// @throws IllegalArgumentException if a source is bad, the directory holds something else, or no text is left
    /// for
    ///     training or validation
    public static Result run(
            Settings settings, Function<String, int[]> encode, int threads, boolean overwrite, Progress progress)
            throws IOException {
        for (Path source : settings.sources) {
            if (Files.isDirectory(source) && absolute(settings.out).startsWith(absolute(source))) {
                throw new IllegalArgumentException("prepare: the output " + settings.out + " lies inside the source "
                        + source + "; choose a directory outside");
            }
        }
        Corpus corpus = Corpus.open(settings.sources, settings.options);
        Division division = settings.division != Division.AUTO
                ? settings.division
                : corpus.isOneDocument() ? Division.TAILS : Division.DOCUMENTS;
        Files.createDirectories(settings.out);
        PrepareManifest manifest = PrepareManifest.open(settings, division, corpus.fingerprint(), overwrite);
        if (manifest.isComplete()) {
            return manifest.result(division, false);
        }
        Prepare run = new Prepare(settings, encode, threads, progress, manifest);
        run.write(corpus, division);
        manifest.complete(run.documents, corpus.skipped());
        return manifest.result(division, true);
    }

    private static Path absolute(Path path) {
        return path.toAbsolutePath().normalize();
    }

    private void write(Corpus corpus, Division division) throws IOException {
        for (Split split : Split.values()) {
            writers.put(split, new ShardWriter(split, settings, manifest));
        }
        long total = corpus.totalBytes();
        try (ExecutorService pool = Executors.newFixedThreadPool(Math.max(1, threads))) {
            corpus.visit((document, bytesDone) -> {
                documents++;
                divide(document, division, pool);
                progress.update(bytesDone, total, documents);
            });
            flush(pool);
            for (ShardWriter writer : writers.values()) {
                writer.finish();
            }
        } finally {
            for (ShardWriter writer : writers.values()) {
                writer.close();
            }
        }
        progress.update(total, total, documents);
        checkParts(corpus.skipped());
    }

    /// A document goes into the group with its part marked by its hash; a tail is a document of its own.
    private void divide(Document document, Division division, ExecutorService pool) throws IOException {
        if (division == Division.DOCUMENTS) {
            add(document, pool);
            return;
        }
        String text = document.text();
        int cut = cut(text, settings.validationFraction);
        Document.Hash train = new Document.Hash(-1, 0); // fraction just below 1
        Document.Hash validation = new Document.Hash(0, 0); // fraction 0
        add(new Document(document.name(), text.substring(0, cut), train), pool);
        if (cut < text.length()) {
            add(new Document(document.name() + " (tail)", text.substring(cut), validation), pool);
        }
    }

    private Split split(Document document) {
        return document.hash().fraction() < settings.validationFraction ? Split.VALIDATION : Split.TRAIN;
    }

    private void add(Document document, ExecutorService pool) throws IOException {
        if (writer(document).skip()) {
            return; // in a shard that an earlier run finished
        }
        group.add(document);
        groupChars += document.text().length();
        if (groupChars >= GROUP_CHARS) {
            flush(pool);
        }
    }

    private void flush(ExecutorService pool) throws IOException {
        List<Future<int[]>> encoded = new ArrayList<>();
        for (Document document : group) {
            encoded.add(pool.submit(() -> encode.apply(document.text())));
        }
        for (int i = 0; i < group.size(); i++) {
            Document document = group.get(i);
            try {
                writer(document).append(encoded.get(i).get());
            } catch (IllegalArgumentException e) {
                throw new IllegalArgumentException("prepare: " + document.name() + ": " + e.getMessage(), e);
            } catch (ExecutionException e) {
                throw new IllegalStateException(
                        "prepare: " + document.name() + ": the tokenizer failed: "
                                + (e.getCause() == null ? e : e.getCause()),
                        e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("prepare: interrupted; run it again to continue", e);
            }
        }
        group.clear();
        groupChars = 0;
    }

    private ShardWriter writer(Document document) {
        ShardWriter writer = writers.get(split(document));
        if (writer == null) {
            throw new IllegalStateException("no writer for " + split(document));
        }
        return writer;
    }

    private void checkParts(Map<Corpus.Skip, Long> skipped) {
        Result result = manifest.result(Division.DOCUMENTS, true);
        if (result.tokens(Split.TRAIN) == 0) {
            throw new IllegalArgumentException("prepare: no text is left for training from " + documents
                    + " documents" + (skipped.isEmpty() ? "" : " (left out: " + skipped + ")")
                    + "; lower the validation fraction or add text");
        }
        if (settings.validationFraction > 0 && result.tokens(Split.VALIDATION) == 0) {
            throw new IllegalArgumentException("prepare: none of " + documents + " documents fell into the validation"
                    + " part of " + settings.validationFraction + "; raise the fraction, set it to 0, or divide by"
                    + " tails");
        }
    }

    /// After the line end nearest to the wanted place, or at that place if there is none.
    static int cut(String text, double fraction) {
        int wanted = (int) Math.round(text.length() * (1 - fraction));
        if (wanted <= 0 || wanted >= text.length()) {
            return wanted;
        }
        int before = text.lastIndexOf('\n', wanted - 1) + 1;
        int after = text.indexOf('\n', wanted - 1) + 1;
        if (before > 0 && (after == 0 || after == text.length() || wanted - before <= after - wanted)) {
            return before;
        }
        if (after > 0 && after < text.length()) {
            return after;
        }
        return Character.isLowSurrogate(text.charAt(wanted)) ? wanted + 1 : wanted;
    }
}
