package io.jacquard.cuda;

import io.jacquard.cuda.driver.Kernel;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// Tokens: embedding and cross entropy.
final class TokenKernels {
    private static final int ROW_THREADS = 256;
    private static final int LOSS_THREADS = 512;

    /// Keys that a block sorts at most: two to a thread, as they are compared.
    private static final int MOST_SORTED = 2048;

    private static final int SORT_THREADS = 1024;

    /// `MERGED` and `TILE` of token.cu.
    private static final int MERGED = 16;

    private static final int TILE = 16;

    private final Launcher launcher;
    private final Kernel[] embedding;
    private final Kernel[] crossEntropy;
    private final Kernel[] crossEntropyStats;
    private final Kernel[] crossEntropyShard;
    private final Kernel[] fill;
    private final Kernel sort;
    private final Kernel merge;
    private final Kernel[] grad;
    private final Kernel[] gradIntoF32;
    private final Kernel[] join;

    TokenKernels(Launcher launcher) {
        this.launcher = launcher;
        embedding = launcher.floats("embedding");
        crossEntropy = launcher.floats("cross_entropy");
        crossEntropyStats = launcher.floats("cross_entropy_stats");
        crossEntropyShard = launcher.floats("cross_entropy_shard");
        fill = launcher.floats("fill");
        sort = launcher.kernel("token_sort");
        merge = launcher.kernel("token_merge");
        grad = new Kernel[DType.values().length];
        gradIntoF32 = new Kernel[DType.values().length];
        for (DType d : new DType[] {DType.F32, DType.BF16, DType.F16}) {
            String name = d.name().toLowerCase(Locale.ROOT);
            grad[d.ordinal()] = launcher.kernel("token_grad_" + name + "_" + name);
            gradIntoF32[d.ordinal()] = launcher.kernel("token_grad_" + name + "_f32");
        }
        join = launcher.floats("token_join");
    }

    void embedding(Tensor out, Tensor table, Tensor ids, int firstId, @Nullable Tensor positions) {
        if (out.size() == 0) {
            return;
        }
        launcher.start(embedding[out.dtype().ordinal()])
                .tensor(out)
                .tensor(table)
                .int32(firstId)
                .int32(table.shape().dim(0))
                .tensor(ids)
                .tensor(positions)
                .int64(ids.size())
                .int32(RowGroups.columns(ids))
                .int32(RowGroups.columns(out))
                .run(launcher.blocks(ids.size(), ROW_THREADS / 32), ROW_THREADS);
    }

    void embeddingGrad(Tensor dTable, Tensor dy, Tensor ids, int firstId, float beta) {
        if (beta == 0 && dTable.size() > 0) {
            launcher.start(fill[dTable.dtype().ordinal()])
                    .tensor(dTable)
                    .float32(0)
                    .int64(dTable.size())
                    .run(launcher.blocks(dTable.size()), ROW_THREADS);
        }
        if (dy.size() == 0) {
            return;
        }
        int n = Math.toIntExact(ids.size());
        int columns = RowGroups.columns(dTable);
        int tiles = Math.ceilDiv(n, TILE);
        long keyBytes = (n * 8L + 255) / 256 * 256;
        long keys = launcher.workspace(2 * keyBytes + 2L * tiles * columns * Float.BYTES);
        long partials = keys + 2 * keyBytes;
        sortRuns(keys, dTable, ids, firstId);
        long sorted = merge(keys, keys + keyBytes, n);
        Kernel[] sum = dTable.dtype() == DType.F32 ? gradIntoF32 : grad;
        launcher.start(sum[dy.dtype().ordinal()])
                .tensor(dTable)
                .pointer(partials)
                .tensor(dy);
        runTiles(sorted, n, columns, beta, RowGroups.vector(dy));
        if (tiles > 1) {
            launcher.start(join[dTable.dtype().ordinal()]).tensor(dTable).pointer(partials);
            runTiles(sorted, n, columns, beta, RowGroups.vector(dTable));
        }
    }

    private void runTiles(long sorted, int n, int columns, float beta, int vector) {
        int each = columns % vector == 0 ? vector : 1;
        launcher.pointer(sorted)
                .int32(n)
                .int32(columns)
                .int32(beta == 0 ? 0 : 1)
                .run(Math.ceilDiv(n, TILE), RowGroups.threads(columns, each, ROW_THREADS));
    }

    /// How many of `n` keys a block sorts: a power of two.
    private static int run(int n) {
        return Math.clamp(2L * Integer.highestOneBit(Math.max(1, n - 1)), 2, MOST_SORTED);
    }

    /// Sorts the keys (row of the table, row of dy) of all ids in runs.
    private void sortRuns(long keys, Tensor dTable, Tensor ids, int firstId) {
        int n = Math.toIntExact(ids.size());
        int run = run(n);
        launcher.start(sort)
                .pointer(keys)
                .int32(firstId)
                .int32(dTable.shape().dim(0))
                .tensor(ids)
                .int32(n)
                .int32(run)
                .run(Math.ceilDiv(n, run), 1, 1, RowGroups.threads(run / 2, 1, SORT_THREADS), run * Long.BYTES);
    }

    /// Merges the sorted runs into one, in `keys` or `spare`; returns which.
    private long merge(long keys, long spare, int n) {
        long from = keys;
        long to = spare;
        for (long length = run(n); length < n; length *= MERGED) {
            launcher.start(merge)
                    .pointer(to)
                    .pointer(from)
                    .int32(n)
                    .int64(length)
                    .run(launcher.blocks(n, ROW_THREADS), ROW_THREADS);
            long merged = to;
            to = from;
            from = merged;
        }
        return from;
    }

    void crossEntropy(Tensor losses, Tensor logits, Tensor labels, @Nullable Tensor scale) {
        if (labels.size() == 0) {
            return;
        }
        launcher.start(crossEntropy[logits.dtype().ordinal()])
                .tensor(losses)
                .tensor(logits)
                .tensor(labels)
                .tensor(scale)
                .int32(RowGroups.columns(logits))
                .run(Math.toIntExact(labels.size()), lossThreads(logits));
    }

    private static int lossThreads(Tensor logits) {
        return RowGroups.threads(RowGroups.columns(logits), RowGroups.vector(logits), LOSS_THREADS);
    }

    void crossEntropyStats(Tensor stats, Tensor logits, Tensor labels, int firstLabel) {
        if (labels.size() == 0) {
            return;
        }
        launcher.start(crossEntropyStats[logits.dtype().ordinal()])
                .tensor(stats)
                .tensor(logits)
                .tensor(labels)
                .int32(firstLabel)
                .int32(RowGroups.columns(logits))
                .run(Math.toIntExact(labels.size()), lossThreads(logits));
    }

    void crossEntropyShard(
            Tensor losses, Tensor logits, Tensor labels, int firstLabel, Tensor stats, @Nullable Tensor scale) {
        if (labels.size() == 0) {
            return;
        }
        launcher.start(crossEntropyShard[logits.dtype().ordinal()])
                .tensor(losses)
                .tensor(logits)
                .tensor(labels)
                .int32(firstLabel)
                .tensor(stats)
                .int32(stats.shape().dim(0))
                .tensor(scale)
                .int32(RowGroups.columns(logits))
                .run(Math.toIntExact(labels.size()), scale == null ? 32 : lossThreads(logits));
    }
}
