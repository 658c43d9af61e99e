package io.jacquard.data;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// Batches as a pure function of (seed, step, micro-batch): there is no position to save, so a run that resumes at a
/// step sees what an uninterrupted run would have seen.
///
/// The tokens of each shard are cut into windows of `T + 1` that share one token with the next, so that each token but
/// the shard's first is a label once. In every epoch each window comes exactly once, in an order that depends on the
/// seed and the epoch alone. The windows of a step are the same for any number of ranks as long as the product
/// `rows * microBatches * ranks` stays the same.
///
/// **Memory** Mapped files; no index of windows is held. **Thread** Any number of threads may read.
public final class Batches implements AutoCloseable {
    /// Label of a position that does not count.
    public static final int IGNORED = -1;

    private final List<TokenFile> shards;
    private final long[] firstWindow;
    private final long windows;
    private final int context;
    private final int vocabulary;
    private final long seed;

    /// How a step's windows are divided. Micro-batch `m` of rank `r` takes a contiguous slice of micro-batch `m`.
    ///
    /// @param rows sequences in one micro-batch of one rank, `B`
    /// @param microBatches micro-batches in one step
    /// @param rank this rank
    /// @param ranks number of ranks that read different data
    public record Layout(int rows, int microBatches, int rank, int ranks) {
        /// Checks the ranges.
        public Layout {
            if (rows < 1 || microBatches < 1 || ranks < 1 || rank < 0 || rank >= ranks) {
                throw new IllegalArgumentException("batches: rows=" + rows + ", microBatches=" + microBatches
                        + ", rank=" + rank + ", ranks=" + ranks + "; expected rows, microBatches, ranks >= 1 and rank"
                        + " < ranks");
            }
        }

        /// Sequences in one step of all ranks.
        public long rowsPerStep() {
            return (long) rows * microBatches * ranks;
        }
    }

    private Batches(List<TokenFile> shards, int context, int vocabulary, long seed) {
        this.shards = List.copyOf(shards);
        this.context = context;
        this.vocabulary = vocabulary;
        this.seed = seed;
        firstWindow = new long[shards.size()];
        long total = 0;
        for (int i = 0; i < firstWindow.length; i++) {
            firstWindow[i] = total;
            total += Math.max(0, shards.get(i).length() - 1) / context;
        }
        windows = total;
    }

    /// Opens shards with headers.
    ///
    /// @param context tokens of a sequence, `T`
    /// @param vocabulary number of ids; a batch with a token beyond it is refused
    /// @throws IllegalArgumentException if a file is malformed, or all together have no window of `T + 1` tokens
    public static Batches open(List<Path> files, int context, int vocabulary, long seed) throws IOException {
        List<TokenFile> shards = new ArrayList<>();
        try {
            for (Path file : files) {
                shards.add(TokenFile.open(file));
            }
            return of(shards, context, vocabulary, seed);
        } catch (IOException | RuntimeException | Error e) {
            shards.forEach(TokenFile::close);
            throw e;
        }
    }

    /// Uses shards that are open already; `close()` closes them.
    public static Batches of(List<TokenFile> shards, int context, int vocabulary, long seed) {
        if (context < 1 || vocabulary < 1) {
            throw new IllegalArgumentException(
                    "batches: context=" + context + ", vocabulary=" + vocabulary + "; expected both to be at least 1");
        }
        Batches batches = new Batches(shards, context, vocabulary, seed);
        if (batches.windows == 0) {
            throw new IllegalArgumentException("batches: " + batches.tokens() + " tokens in " + shards.size()
                    + " files " + shards.stream().map(TokenFile::file).toList() + " have no window of " + context
                    + " + 1; use more text or a shorter context");
        }
        return batches;
    }

    /// Number of tokens in all shards.
    public long tokens() {
        return shards.stream().mapToLong(TokenFile::length).sum();
    }

    /// Number of windows, which is the number of sequences in one epoch.
    public long windows() {
        return windows;
    }

    /// Tokens of a sequence, `T`.
    public int context() {
        return context;
    }

    /// The epoch, from 0, that a step begins in.
    public long epoch(long step, Layout layout) {
        return Math.multiplyExact(step, layout.rowsPerStep()) / windows;
    }

    /// Labels of a step on all ranks: each position of a window has one that counts.
    public long labelsPerStep(Layout layout) {
        return layout.rowsPerStep() * context;
    }

    /// Fills one rank's micro-batch of a training step.
    ///
    /// @param tokens gets `[B, T]`
    /// @param labels gets `[B, T]`: the token after each of `tokens`
    /// @throws IllegalArgumentException if a token is beyond the vocabulary
    public void fill(long step, int microBatch, Layout layout, int[] tokens, int[] labels) {
        checkSizes(layout.rows, tokens, labels);
        if (step < 0 || microBatch < 0 || microBatch >= layout.microBatches) {
            throw new IllegalArgumentException("batches: step=" + step + ", microBatch=" + microBatch
                    + "; expected step >= 0 and microBatch from 0 to " + (layout.microBatches - 1));
        }
        long slice = (long) microBatch * layout.ranks + layout.rank;
        long first = Math.addExact(Math.multiplyExact(step, layout.rowsPerStep()), slice * layout.rows);
        int[] row = new int[context + 1];
        long epoch = -1;
        Permutation order = new Permutation(1, 0, 0);
        for (int b = 0; b < layout.rows; b++) {
            long sequence = first + b;
            if (sequence / windows != epoch) {
                epoch = sequence / windows;
                order = new Permutation(windows, seed, epoch);
            }
            fillRow(order.apply(sequence % windows), row, b, tokens, labels);
        }
    }

    /// Fills sequences `batch * rows ...` in file order, for validation. Rows after the last window have tokens 0
    /// and labels [#IGNORED], so that every window counts exactly once with batches of a fixed size.
    ///
    /// @return the number of rows that are windows; 0 from batch [#sequentialBatches(int)] on
    public int fillSequential(long batch, int rows, int[] tokens, int[] labels) {
        checkSizes(rows, tokens, labels);
        if (batch < 0) {
            throw new IllegalArgumentException("batches: batch " + batch + " is negative");
        }
        long first = Math.multiplyExact(batch, (long) rows);
        int valid = Math.clamp(windows - first, 0, rows);
        int[] row = new int[context + 1];
        for (int b = 0; b < valid; b++) {
            fillRow(first + b, row, b, tokens, labels);
        }
        Arrays.fill(tokens, valid * context, rows * context, 0);
        Arrays.fill(labels, valid * context, rows * context, IGNORED);
        return valid;
    }

    /// Number of batches of `rows` sequences that hold every window once.
    public long sequentialBatches(int rows) {
        return Math.ceilDiv(windows, (long) rows);
    }

    @Override
    public void close() {
        shards.forEach(TokenFile::close);
    }

    private void fillRow(long window, int[] row, int b, int[] tokens, int[] labels) {
        int found = Arrays.binarySearch(firstWindow, window);
        int shard = found >= 0 ? found : -found - 2;
        // shards too short for a window share their number with the next one
        while (shard + 1 < firstWindow.length && firstWindow[shard + 1] == window) {
            shard++;
        }
        long from = (window - firstWindow[shard]) * context;
        shards.get(shard).copy(from, row, 0, context + 1);
        for (int t = 0; t <= context; t++) {
            if (row[t] < 0 || row[t] >= vocabulary) {
                throw new IllegalArgumentException(shards.get(shard).file() + ": token " + row[t] + " at position "
                        + (from + t) + "; expected 0 to " + (vocabulary - 1)
                        + " (was this file made with another tokenizer?)");
            }
        }
        System.arraycopy(row, 0, tokens, b * context, context);
        System.arraycopy(row, 1, labels, b * context, context);
    }

    private void checkSizes(int rows, int[] tokens, int[] labels) {
        long expected = (long) rows * context;
        if (tokens.length != expected || labels.length != expected) {
            throw new IllegalArgumentException("batches: tokens[" + tokens.length + "], labels[" + labels.length
                    + "]; expected rows(" + rows + ") * context(" + context + ") = " + expected);
        }
    }
}
