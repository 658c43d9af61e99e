package io.jacquard.train;

import io.jacquard.io.AtomicFiles;
import io.jacquard.io.CheckpointDirectory;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;

/// The directory of one run: `config.yaml`, `metrics.jsonl`, `checkpoints/step-<N>/`, `loss.png`, `loss.svg`,
/// of low precision `precision.json` ([PrecisionGap]); of
/// several ranks `ranks/` ([Failures]). Open in one process at a time, whose rank 0 writes all of it but the other
/// ranks' parts of checkpoints and what they record.
final class RunDirectory implements AutoCloseable {
    private final Path path;
    private final @Nullable FileChannel lockFile;

    private RunDirectory(Path path, @Nullable FileChannel lockFile) {
        this.path = path;
        this.lockFile = lockFile;
    }

    static RunDirectory open(Path path) throws IOException {
        Files.createDirectories(path);
        FileChannel file =
                FileChannel.open(path.resolve("run.lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        FileLock lock;
        try {
            lock = file.tryLock();
        } catch (OverlappingFileLockException e) {
            lock = null;
        }
        if (lock == null) {
            file.close();
            throw new IllegalStateException("run directory " + path + " is in use by another process");
        }
        return new RunDirectory(path, file);
    }

    /// For a rank whose rank 0 has opened it.
    static RunDirectory ofAnotherRank(Path path) {
        return new RunDirectory(path, null);
    }

    static Path config(Path run) {
        return run.resolve("config.yaml");
    }

    static Path precision(Path run) {
        return run.resolve("precision.json");
    }

    static Path checkpoints(Path run) {
        return run.resolve("checkpoints");
    }

    Path metrics() {
        return path.resolve("metrics.jsonl");
    }

    CheckpointDirectory checkpoints() throws IOException {
        return CheckpointDirectory.open(checkpoints(path));
    }

    void write(TrainConfig config) throws IOException {
        AtomicFiles.writeText(config(path), ConfigWriter.yaml(config));
    }

    @Override
    public void close() throws IOException {
        if (lockFile != null) {
            lockFile.close();
        }
    }
}
