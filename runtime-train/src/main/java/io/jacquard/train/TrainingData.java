package io.jacquard.train;

import io.jacquard.data.Batches;
import io.jacquard.data.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// What a run reads: the shards of a directory that `prepare` wrote, and their tokenizer.
///
/// @param validation null if the directory has no validation shard that is long enough
/// @param tokenizerJson the tokenizer's file, byte for byte
public record TrainingData(Batches train, @Nullable Batches validation, Tokenizer tokenizer, byte[] tokenizerJson)
        implements AutoCloseable {

    /// Opens `<directory>/train*.bin`, `<directory>/val*.bin` and the tokenizer.
    public static TrainingData open(TrainConfig config) throws IOException {
        Path directory = config.data().directory();
        Path file = config.data().tokenizer().isEmpty()
                ? directory.resolve("tokenizer.json")
                : Path.of(config.data().tokenizer());
        if (!Files.isRegularFile(file)) {
            throw new IllegalArgumentException(
                    "data: there is no " + file + "; make one with: jacquard prepare TEXT" + " --out " + directory);
        }
        Tokenizer tokenizer = Tokenizer.read(file);
        int vocabulary = tokenizer.vocabularySize();
        int context = config.model().context();
        List<Path> train = shards(directory, "train");
        if (train.isEmpty()) {
            throw new IllegalArgumentException("data: " + directory + " has no train*.bin; make it with: jacquard"
                    + " prepare TEXT --out " + directory);
        }
        Batches batches =
                Batches.open(train, context, vocabulary, config.training().seed());
        try {
            return new TrainingData(
                    batches, validation(directory, context, vocabulary), tokenizer, Files.readAllBytes(file));
        } catch (IOException | RuntimeException e) {
            batches.close();
            throw e;
        }
    }

    /// The shards of one split in a directory, by name.
    public static List<Path> shards(Path directory, String split) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.filter(f -> f.getFileName().toString().matches(split + "[^/]*\\.bin"))
                    .sorted()
                    .toList();
        }
    }

    /// The validation shards, or null if they are absent or too short for one sequence.
    ///
    /// Their order has a seed of its own: runs with different seeds are scored on the same sequences.
    public static @Nullable Batches validation(Path directory, int context, int vocabulary) throws IOException {
        List<Path> files = shards(directory, "val");
        long bytes = 0;
        for (Path f : files) {
            bytes = Math.max(bytes, Files.size(f));
        }
        // 1024 bytes of header, at least two bytes for a token
        return bytes < 1024 + 2L * (context + 1) ? null : Batches.open(files, context, vocabulary, 0);
    }

    @Override
    public void close() {
        train.close();
        if (validation != null) {
            validation.close();
        }
    }
}
