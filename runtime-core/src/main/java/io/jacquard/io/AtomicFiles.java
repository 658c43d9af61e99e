package io.jacquard.io;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.SecureRandom;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Files that are either the old version or the new one, whatever happens in between.
///
/// The new content goes to a temporary file beside the target, is flushed to the disk, checked, renamed over the
/// target, and the directory is flushed. A failure leaves the target as it was.
public final class AtomicFiles {
    // A temporary name holds its writer's process id, so that a later start can tell a leftover from work in hand, and
    // a random number of the writer's run: in containers every process has id 1.
    private static final Pattern TEMPORARY = Pattern.compile(".+\\.tmp-(\\d{1,18})-([0-9a-f]{8})-\\d+");
    private static final String RUN = String.format("%08x", new SecureRandom().nextInt());
    private static final AtomicLong COUNTER = new AtomicLong();

    /// Writes the new content of a file.
    @FunctionalInterface
    public interface Body {
        /// `out` is empty, writable at any position, and closed by the caller.
        void writeTo(FileChannel out) throws IOException;
    }

    /// Checks a finished temporary file; what it throws abandons the write.
    @FunctionalInterface
    public interface Check {
        /// `written` is the temporary file, already on the disk.
        void check(Path written) throws IOException;
    }

    private AtomicFiles() {}

    /// A file being written. Closing it before [#commit(Check)] abandons it and leaves the target as it was.
    public static final class Output implements AutoCloseable {
        private final Path target;
        private final Path temporary;
        private final FileChannel channel;
        private boolean committed;

        private Output(Path target) throws IOException {
            this.target = target;
            temporary = temporary(target);
            channel = FileChannel.open(
                    temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE, StandardOpenOption.READ);
        }

        /// Empty at first, writable at any position.
        public FileChannel channel() {
            return channel;
        }

        /// Flushes the content to the disk, checks it and renames it over the target.
        public void commit(Check check) throws IOException {
            channel.force(true);
            channel.close();
            check.check(temporary);
            publish(temporary, target);
            committed = true;
        }

        @Override
        public void close() throws IOException {
            channel.close();
            if (!committed) {
                Files.deleteIfExists(temporary);
            }
        }
    }

    /// Begins to replace or create `target`.
    public static Output open(Path target) throws IOException {
        return new Output(target);
    }

    /// Replaces or creates `target`.
    public static void write(Path target, Body body, Check check) throws IOException {
        try (Output output = open(target)) {
            body.writeTo(output.channel());
            output.commit(check);
        }
    }

    /// Replaces or creates a UTF-8 text file.
    public static void writeText(Path target, String text) throws IOException {
        write(target, out -> writeFully(out, ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8))), written -> {});
    }

    /// Writes all remaining bytes at the channel's position.
    public static void writeFully(FileChannel out, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            out.write(bytes);
        }
    }

    /// Writes a whole segment at the channel's position.
    public static void writeFully(FileChannel out, MemorySegment bytes) throws IOException {
        // The JDK copies a heap buffer through a direct one of the same size and keeps that per thread: small pieces.
        long piece = bytes.isNative() ? 64L << 20 : 1L << 20;
        @Nullable
        MemorySegment staging = bytes.isNative() || bytes.heapBase().orElseThrow() instanceof byte[]
                ? null
                : MemorySegment.ofArray(new byte[(int) Math.min(piece, bytes.byteSize())]);
        for (long at = 0; at < bytes.byteSize(); at += piece) {
            MemorySegment part = bytes.asSlice(at, Math.min(piece, bytes.byteSize() - at));
            if (staging != null) {
                part = staging.asSlice(0, part.byteSize()).copyFrom(part);
            }
            writeFully(out, part.asByteBuffer());
        }
    }

    /// Deletes the leftovers of writers that died, directly inside `directory`; returns what it deleted.
    /// A temporary whose process still lives on this machine stays.
    public static List<Path> cleanTemporaries(Path directory) throws IOException {
        List<Path> stale;
        try (Stream<Path> children = Files.list(directory)) {
            stale = children.filter(AtomicFiles::isStale).sorted().toList();
        }
        for (Path path : stale) {
            deleteTree(path);
        }
        return stale;
    }

    /// Flushes a directory's entries to the disk.
    public static void syncDirectory(Path directory) throws IOException {
        try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    /// Deletes a file or a directory with all it holds; follows no links; absent is fine.
    public static void deleteTree(Path path) throws IOException {
        try {
            Files.walkFileTree(path, new SimpleFileVisitor<>() {
                @Override
                public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                    Files.delete(file);
                    return FileVisitResult.CONTINUE;
                }

                @Override
                public FileVisitResult postVisitDirectory(Path directory, @Nullable IOException failure)
                        throws IOException {
                    if (failure != null) {
                        throw failure;
                    }
                    Files.delete(directory);
                    return FileVisitResult.CONTINUE;
                }
            });
        } catch (NoSuchFileException e) {
            return; // somebody else was faster
        }
    }

    /// A name beside `target` that no other writer uses.
    static Path temporary(Path target) {
        return target.resolveSibling(target.getFileName() + ".tmp-"
                + ProcessHandle.current().pid() + "-" + RUN + "-" + COUNTER.incrementAndGet());
    }

    /// Renames over `target`, which must be absent or a file, and flushes the directory.
    static void publish(Path temporary, Path target) throws IOException {
        Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
        Path directory = target.toAbsolutePath().getParent();
        if (directory != null) {
            syncDirectory(directory);
        }
    }

    static boolean isTemporary(Path path) {
        return TEMPORARY.matcher(path.getFileName().toString()).matches();
    }

    private static boolean isStale(Path path) {
        Matcher matcher = TEMPORARY.matcher(path.getFileName().toString());
        if (!matcher.matches()) {
            return false;
        }
        long pid = Long.parseLong(matcher.group(1));
        if (pid == ProcessHandle.current().pid()) {
            return !matcher.group(2).equals(RUN);
        }
        return ProcessHandle.of(pid).filter(ProcessHandle::isAlive).isEmpty();
    }
}
