package io.jacquard.io;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;

/// How the ranks of a run hand the files that they wrote of a checkpoint to the one that finishes it: through the file
/// system, which they share. Nobody meets and no device waits, so ranks save in the background as one alone does.
///
/// @param root the directory of the checkpoints
/// @param part which of the parts is this rank's
/// @param patience how long to wait for another rank's files
public record RankParts(Path root, FilePart part, Duration patience) {
    private static final long LOOK_MILLIS = 20;

    private Path delivered(long step, int number) {
        return root.resolve("step-" + step + ".part-" + number);
    }

    /// Whether `path` is what a rank delivered and nobody took.
    static boolean isDelivery(Path path) {
        return path.getFileName().toString().matches("step-\\d+\\.part-\\d+");
    }

    /// Whether this rank takes the parts of the others.
    public boolean isFirst() {
        return part.isFirst();
    }

    /// Writes the files of this rank, which is not the first, and hands them over.
    ///
    /// @return where they are, until they are taken
    public Path deliver(long step, CheckpointDirectory.Writer writer) throws IOException {
        Path target = delivered(step, part.number());
        Path temporary = AtomicFiles.temporary(target);
        boolean done = false;
        try {
            Files.createDirectories(temporary);
            writer.writeTo(temporary);
            AtomicFiles.publish(temporary, target);
            done = true;
        } finally {
            if (!done) {
                AtomicFiles.deleteTree(temporary);
            }
        }
        return target;
    }

    /// Waits for all other parts, moves their files into `directory`, where the first part's are, and writes the
    /// index of the whole.
    ///
    /// @throws IOException if one does not come in time
    public void collect(long step, Path directory) throws IOException {
        long deadline = System.nanoTime() + patience.toNanos();
        for (int number = 2; number <= part.of(); number++) {
            Path other = delivered(step, number);
            while (!Files.isDirectory(other)) {
                if (System.nanoTime() > deadline) {
                    throw new IOException("checkpoint of step " + step + ": part " + number + " of " + part.of()
                            + " has not come to " + other + " in " + patience.toSeconds()
                            + " s; do all ranks see this directory?");
                }
                pause();
            }
            move(other, directory);
        }
        if (part.of() > 1) {
            ModelDirectory.writeIndex(directory);
        }
    }

    private static void move(Path part, Path directory) throws IOException {
        List<Path> files;
        try (Stream<Path> list = Files.list(part)) {
            files = list.toList();
        }
        for (Path file : files) {
            Files.move(file, directory.resolve(file.getFileName()), StandardCopyOption.ATOMIC_MOVE);
        }
        Files.delete(part);
    }

    private static void pause() throws IOException {
        try {
            Thread.sleep(LOOK_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while waiting for the parts of other ranks", e);
        }
    }
}
