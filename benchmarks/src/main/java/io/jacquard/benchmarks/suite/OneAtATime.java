package io.jacquard.benchmarks.suite;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;

/// Keeps two measurements of one user apart: each would time the other. The lock is the operating system's, and gone
/// with the process.
record OneAtATime(FileChannel file) implements AutoCloseable {
    /// In this directory, where those that would time each other meet.
    ///
    /// @throws IllegalArgumentException if another one measures
    static OneAtATime enter(Path directory) throws IOException {
        Path lock = directory.resolve("jacquard-bench-" + System.getProperty("user.name") + ".lock");
        FileChannel file = FileChannel.open(lock, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        if (locked(file) == null) {
            file.close();
            throw new IllegalArgumentException("bench: another bench measures on this machine (it holds " + lock
                    + "), and each would time the other; wait for its end");
        }
        return new OneAtATime(file);
    }

    private static @Nullable FileLock locked(FileChannel file) throws IOException {
        try {
            return file.tryLock();
        } catch (OverlappingFileLockException e) {
            return null;
        }
    }

    @Override
    public void close() throws IOException {
        file.close();
    }
}
