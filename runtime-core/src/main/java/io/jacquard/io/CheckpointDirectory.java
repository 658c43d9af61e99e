package io.jacquard.io;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// The saved states of one run: `step-<N>` directories that are either complete and checked or not there.
///
/// A state is written to a temporary directory, each file is flushed and hashed, `manifest.json` with the hashes is
/// written last, and the directory is renamed. A crash at any moment leaves the older states untouched; what it had
/// begun is removed by the next [#open(Path)].
///
/// **Thread** One writer at a time; readers at any time.
public final class CheckpointDirectory {
    private static final Pattern STEP = Pattern.compile("step-(0|[1-9]\\d{0,17})");
    private static final Pattern REPLACED = Pattern.compile("(step-\\d+)\\.replaced");

    private final Path root;
    private final boolean writable;

    /// Writes one state.
    @FunctionalInterface
    public interface Writer {
        /// Writes any files into `directory`, which is empty. What this throws abandons the save.
        ///
        /// With several ranks, the first alone calls `save`; in here it writes its own part and takes those of
        /// the others: [RankParts].
        void writeTo(Path directory) throws IOException;
    }

    /// A state on the disk.
    ///
    /// @param damage what is wrong with it, or empty
    public record Found(long step, Path directory, Optional<String> damage) {}

    private CheckpointDirectory(Path root, boolean writable) {
        this.root = root;
        this.writable = writable;
    }

    /// Opens a run's directory to save into: creates it if absent and removes what crashed writers left. Only one
    /// process at a time may do so, since another machine's writer cannot be told from a dead one.
    public static CheckpointDirectory open(Path root) throws IOException {
        Files.createDirectories(root);
        AtomicFiles.cleanTemporaries(root);
        cleanDeliveries(root);
        finishReplacements(root);
        return new CheckpointDirectory(root, true);
    }

    /// Opens a run's directory to look at; changes nothing, so that a run may be saving into it meanwhile.
    ///
    /// @throws IllegalArgumentException if there is no such directory
    public static CheckpointDirectory openReadOnly(Path root) {
        if (!Files.isDirectory(root)) {
            throw new IllegalArgumentException(root + ": no such directory");
        }
        return new CheckpointDirectory(root, false);
    }

    /// Saves the state of a step and reads it back; an older state of the same step is replaced.
    ///
    /// @return the finished directory
    public Path save(long step, Writer writer) throws IOException {
        checkWritable("save");
        if (step < 0) {
            throw new IllegalArgumentException("save: step " + step + " is negative");
        }
        Path target = root.resolve("step-" + step);
        Path temporary = AtomicFiles.temporary(target);
        boolean done = false;
        try {
            Files.createDirectory(temporary);
            writer.writeTo(temporary);
            CheckpointManifest.write(temporary, step);
            // the hashes come from reading the files once more, so sizes suffice here
            CheckpointManifest.damage(temporary, step, false).ifPresent(damage -> {
                throw new IllegalStateException("save of step " + step + " failed: " + damage);
            });
            replace(temporary, target);
            done = true;
        } finally {
            if (!done) {
                AtomicFiles.deleteTree(temporary);
            }
        }
        return target;
    }

    /// All states, newest first, each read and compared with its hashes.
    public List<Found> list() throws IOException {
        return list(true);
    }

    /// The newest state that is complete and unchanged. Each damaged one on the way is skipped and reported, with
    /// one line, to `report`.
    public Optional<Path> newestVerified(Consumer<String> report) throws IOException {
        for (Path directory : directories()) {
            Optional<String> damage = verify(directory);
            if (damage.isEmpty()) {
                return Optional.of(directory);
            }
            report.accept("skipped " + directory + ": " + damage.get());
        }
        return Optional.empty();
    }

    /// What is wrong with a `step-<N>` directory, or empty. Reads all its files.
    public static Optional<String> verify(Path directory) {
        Path name = directory.toAbsolutePath().normalize().getFileName();
        if (name == null || !STEP.matcher(name.toString()).matches()) {
            return Optional.of("not named step-<N>");
        }
        return CheckpointManifest.damage(directory, stepOf(directory), true);
    }

    /// Deletes old states: all but the newest `keepLast` and those whose step is a multiple of `keepEvery` (0:
    /// none). Only complete states count as kept, and only states older than the oldest kept are deleted, so that
    /// damaged newer ones stay for inspection.
    ///
    /// @return what was deleted
    public List<Path> prune(int keepLast, long keepEvery) throws IOException {
        checkWritable("prune");
        if (keepLast < 1 || keepEvery < 0) {
            throw new IllegalArgumentException("prune: keepLast=" + keepLast + ", keepEvery=" + keepEvery
                    + "; expected keepLast >= 1 and keepEvery >= 0");
        }
        List<Path> deleted = new ArrayList<>();
        int kept = 0;
        for (Found found : list(false)) {
            if (kept < keepLast) {
                kept += found.damage().isEmpty() ? 1 : 0;
            } else if (keepEvery == 0
                    || found.step() % keepEvery != 0
                    || found.damage().isPresent()) {
                // renamed first: a crash in the middle of the deletion must not leave half a state under its name
                Path temporary = AtomicFiles.temporary(found.directory());
                AtomicFiles.publish(found.directory(), temporary);
                AtomicFiles.deleteTree(temporary);
                deleted.add(found.directory());
            }
        }
        return deleted;
    }

    private void checkWritable(String operation) {
        if (!writable) {
            throw new IllegalStateException(operation + ": " + root + " was opened read-only");
        }
    }

    private List<Found> list(boolean contents) throws IOException {
        return directories().stream()
                .map(directory -> new Found(
                        stepOf(directory),
                        directory,
                        CheckpointManifest.damage(directory, stepOf(directory), contents)))
                .toList();
    }

    private List<Path> directories() throws IOException {
        try (Stream<Path> children = Files.list(root)) {
            return children.filter(
                            path -> STEP.matcher(path.getFileName().toString()).matches() && Files.isDirectory(path))
                    .sorted(Comparator.comparingLong(CheckpointDirectory::stepOf)
                            .reversed())
                    .toList();
        }
    }

    /// The step of the newest state, damaged or not.
    public OptionalLong newest() throws IOException {
        return directories().stream().mapToLong(CheckpointDirectory::stepOf).findFirst();
    }

    /// The step of a directory that [#list()] or [#newestVerified] returned.
    public static long stepOf(Path directory) {
        Matcher matcher = STEP.matcher(
                directory.toAbsolutePath().normalize().getFileName().toString());
        if (!matcher.matches()) {
            throw new IllegalArgumentException(directory + ": not named step-<N>");
        }
        return Long.parseLong(matcher.group(1));
    }

    private static void replace(Path temporary, Path target) throws IOException {
        if (!Files.exists(target)) {
            AtomicFiles.publish(temporary, target);
            return;
        }
        // A directory cannot be renamed over another: between the two renames only the old state under its second
        // name exists, which open() puts back.
        Path replaced = target.resolveSibling(target.getFileName() + ".replaced");
        AtomicFiles.deleteTree(replaced);
        AtomicFiles.publish(target, replaced);
        AtomicFiles.publish(temporary, target);
        AtomicFiles.deleteTree(replaced);
    }

    private static void cleanDeliveries(Path root) throws IOException {
        List<Path> left;
        try (Stream<Path> children = Files.list(root)) {
            left = children.filter(RankParts::isDelivery).toList();
        }
        for (Path part : left) {
            AtomicFiles.deleteTree(part);
        }
    }

    private static void finishReplacements(Path root) throws IOException {
        List<Path> children;
        try (Stream<Path> stream = Files.list(root)) {
            children = stream.toList();
        }
        for (Path path : children) {
            Matcher matcher = REPLACED.matcher(path.getFileName().toString());
            if (matcher.matches()) {
                Path target = root.resolve(matcher.group(1));
                if (Files.exists(target)) {
                    AtomicFiles.deleteTree(path);
                } else {
                    Files.move(path, target, StandardCopyOption.ATOMIC_MOVE);
                }
            }
        }
    }
}
