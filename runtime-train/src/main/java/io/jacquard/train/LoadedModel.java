package io.jacquard.train;

import io.jacquard.data.tokenizer.Tokenizer;
import io.jacquard.io.CheckpointDirectory;
import io.jacquard.io.DecoderFiles;
import io.jacquard.nn.Decoder;
import io.jacquard.nn.Precision;
import io.jacquard.nn.Weights;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Consumer;

/// A model with its tokenizer, ready to score or to write, in a session of its own.
///
/// **Thread**: that which opened it.
public final class LoadedModel implements AutoCloseable {
    private final Path directory;
    private final Session session;
    private final Decoder decoder;
    private final Tokenizer tokenizer;

    private LoadedModel(Path directory, Session session, Decoder decoder, Tokenizer tokenizer) {
        this.directory = directory;
        this.session = session;
        this.decoder = decoder;
        this.tokenizer = tokenizer;
    }

    /// The directory of the model that `path` means: itself if it holds one, or the newest undamaged checkpoint if
    /// it is the directory of a run.
    ///
    /// @throws IllegalArgumentException if it is neither
    public static Path find(Path path, Consumer<String> report) throws IOException {
        if (Files.isRegularFile(path.resolve(DecoderFiles.CONFIG))) {
            return path;
        }
        Path checkpoints = RunDirectory.checkpoints(path);
        if (Files.isDirectory(checkpoints)) {
            return CheckpointDirectory.open(checkpoints)
                    .newestVerified(report)
                    .orElseThrow(
                            () -> new IllegalArgumentException("run " + path + " has no undamaged checkpoint yet"));
        }
        throw new IllegalArgumentException(
                path + " holds neither a model (" + DecoderFiles.CONFIG + ") nor a run (checkpoints/)");
    }

    /// Loads a model directory in Hugging Face's layout, or the newest checkpoint of a run.
    public static LoadedModel open(Path path, String device, DType dtype, Consumer<String> report) throws IOException {
        return open(path, device, dtype, Precision.DTYPE, report);
    }

    /// As [#open(Path, String, DType, Consumer)], with linear layers of this precision; a frozen one wants a model
    /// that has such weights.
    public static LoadedModel open(Path path, String device, DType dtype, Precision precision, Consumer<String> report)
            throws IOException {
        Path directory = find(path, report);
        Path file = directory.resolve("tokenizer.json");
        if (!Files.isRegularFile(file)) {
            throw new IllegalArgumentException(directory + " has no tokenizer.json");
        }
        Tokenizer tokenizer = Tokenizer.read(file);
        Session session = Session.open(device);
        try {
            return new LoadedModel(
                    directory,
                    session,
                    DecoderFiles.load(directory, new Weights(1, precision), dtype, dtype),
                    tokenizer);
        } catch (IOException | RuntimeException | Error e) {
            session.close();
            throw e;
        }
    }

    public Path directory() {
        return directory;
    }

    public Decoder decoder() {
        return decoder;
    }

    public Tokenizer tokenizer() {
        return tokenizer;
    }

    @Override
    public void close() {
        session.close();
    }
}
