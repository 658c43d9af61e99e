package io.jacquard.io;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/// Saves states on one background thread while training goes on.
///
/// At most one save is under way: the next waits for it, so that at most one host snapshot exists beside the caller's.
/// A failed save is thrown by the next call, whichever it is; nothing is dropped in silence.
///
/// **Thread** One caller at a time.
public final class CheckpointSaver implements AutoCloseable {
    private final Target target;
    private final ExecutorService thread = Executors.newSingleThreadExecutor(
            Thread.ofPlatform().name("checkpoint-saver").factory());
    private @Nullable Future<Path> running;

    /// Where states go.
    @FunctionalInterface
    public interface Target {
        /// Saves what `state` writes.
        ///
        /// @return where it is
        Path save(long step, CheckpointDirectory.Writer state) throws IOException;
    }

    /// Prunes after each save, as [CheckpointDirectory#prune(int, long)] describes.
    public CheckpointSaver(CheckpointDirectory directory, int keepLast, long keepEvery) {
        this((step, state) -> {
            Path saved = directory.save(step, state);
            directory.prune(keepLast, keepEvery);
            return saved;
        });
    }

    public CheckpointSaver(Target target) {
        this.target = target;
    }

    /// Waits for the save under way, if any, and starts this one. `snapshot` writes from host memory that nobody
    /// changes any more; it runs on the background thread and may free that memory at its end.
    ///
    /// @throws IOException if the save before failed; this one is not started then
    public void save(long step, CheckpointDirectory.Writer snapshot) throws IOException {
        await();
        running = thread.submit(() -> target.save(step, snapshot));
    }

    /// Waits for the save under way and returns its directory, or null if none was.
    ///
    /// @throws IOException if it failed
    public @Nullable Path await() throws IOException {
        Future<Path> save = running;
        if (save == null) {
            return null;
        }
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return save.get();
                } catch (InterruptedException e) {
                    // a half-written state helps nobody: finish, then tell the caller
                    interrupted = true;
                } catch (ExecutionException e) {
                    throw failure(e.getCause());
                }
            }
        } finally {
            running = null;
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /// Waits for the save under way.
    ///
    /// @throws IOException if it failed
    @Override
    public void close() throws IOException {
        try {
            await();
        } finally {
            thread.shutdown();
        }
    }

    private static IOException failure(@Nullable Throwable cause) {
        return new IOException("background save failed: " + (cause == null ? "unknown" : cause.getMessage()), cause);
    }
}
