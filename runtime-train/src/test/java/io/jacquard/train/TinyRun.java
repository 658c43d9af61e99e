package io.jacquard.train;

import io.jacquard.data.Corpus;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/// A model so small that a step takes milliseconds, on text that is easy to learn.
public final class TinyRun {
    private TinyRun() {}

    public static void prepare(Path directory) throws IOException {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 3000; i++) {
            text.append("the ")
                    .append(i % 7)
                    .append(" cats ate ")
                    .append(i * i % 11)
                    .append(" fish\n");
        }
        Path file = directory.resolve("text.txt");
        Files.writeString(file, text);
        DataPreparation.run(
                new DataPreparation.Request(
                        List.of(file),
                        directory.resolve("data"),
                        Corpus.Options.DEFAULT,
                        null,
                        0,
                        0.1,
                        1 << 20,
                        false,
                        1),
                (_, _) -> {});
    }

    static ConfigReader config(Path directory, String run) {
        return new ConfigReader()
                .yaml("tiny", """
                model: {layers: 2, heads: 2, width: 32, context: 32, dropout: 0.1}
                training: {steps: 12, microBatch: 4, accumulation: 2}
                optimizer: {learningRate: 0.01, warmup: 2}
                evaluation: {sequences: 5}
                checkpoints: {every: 3, keep: 2}
                """)
                .set("data.directory", directory.resolve("data"), "test")
                .set("run", directory.resolve(run), "test");
    }

    /// The configuration as a file.
    public static Path file(Path directory, String run) {
        try {
            Path file = directory.resolve(run + ".yaml");
            Files.writeString(file, ConfigWriter.yaml(config(directory, run).read()));
            return file;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static byte[] weights(Trainer.Outcome outcome) throws IOException {
        return Files.readAllBytes(
                java.util.Objects.requireNonNull(outcome.checkpoint()).resolve("model.safetensors"));
    }

    static byte[] optimizer(Trainer.Outcome outcome) throws IOException {
        return Files.readAllBytes(
                java.util.Objects.requireNonNull(outcome.checkpoint()).resolve("optimizer.safetensors"));
    }
}
