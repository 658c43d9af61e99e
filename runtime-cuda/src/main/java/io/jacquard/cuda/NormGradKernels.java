package io.jacquard.cuda;

import io.jacquard.cuda.driver.Kernel;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// The gradient of one norm: norm_grad.cu. Rows of aligned chunks that fit into a block's registers take the kernel
/// that reads them once; others the one that reads them again.
final class NormGradKernels {
    private static final int MOST_THREADS = 512;

    /// 16-byte chunks of a row per thread in the kernel for common widths.
    private static final int CHUNKS = 2;

    /// Shared memory that the kernels have besides what the launch asks for.
    private static final int STATIC_SHARED = 1024;

    private final Launcher launcher;
    private final Kernel[] common;
    private final Kernel[] wide;
    private final Kernel[] reread;
    private final Kernel[] addPartials;
    private final int weights;
    private final int wideChunks;

    /// `weights` are the weights' gradients: two, or without a bias one. `wideChunks` is the template argument of
    /// the kernel for wide rows.
    NormGradKernels(Launcher launcher, String name, int weights, int wideChunks) {
        this.launcher = launcher;
        this.weights = weights;
        this.wideChunks = wideChunks;
        common = launcher.floats(name);
        wide = launcher.floats(name + "_wide");
        reread = launcher.floats(name + "_reread");
        addPartials = launcher.floats("norm_weight_grad");
    }

    void run(
            @Nullable Tensor dx,
            float beta,
            @Nullable Tensor dWeight,
            @Nullable Tensor dBias,
            float weightBeta,
            Tensor dy,
            Tensor x,
            @Nullable Tensor mean,
            Tensor rstd,
            Tensor weight) {
        int columns = RowGroups.columns(weight);
        long rows = RowGroups.rows(x, columns);
        if (columns == 0 || (dx == null && dWeight == null)) {
            return;
        }
        int vector = RowGroups.vector(x);
        boolean isCommon = columns <= CHUNKS * vector * MOST_THREADS;
        int perThread = (isCommon ? CHUNKS : wideChunks) * vector;
        int width = RowGroups.threads(columns, perThread, MOST_THREADS);
        int chunks = Math.ceilDiv(columns, vector * width);
        // Two stages of x, dy and, where it is added to, dx.
        int sharedPerRow = 2 * (dx != null && beta != 0 ? 3 : 2) * chunks * width * 16;
        int groups = groups(width, sharedPerRow, rows);
        boolean whole = columns % vector == 0 && aligned(dx, dy, x, weight);
        boolean held = whole && columns <= perThread * MOST_THREADS && groups > 0;
        if (!held) {
            width = RowGroups.threads(columns, 1, MOST_THREADS);
            groups = 1;
        }
        // One block to a multiprocessor: each costs a partial row of every weight.
        int blocks = (int) Math.min(Math.ceilDiv(rows, groups), launcher.multiprocessors());
        long partials =
                dWeight == null ? 0 : launcher.workspace(Math.max(1, (long) blocks * weights * columns * Float.BYTES));
        if (blocks > 0) {
            startRows(!held ? reread : isCommon ? common : wide, dx, partials, dy, x, mean, rstd, weight)
                    .int64(rows)
                    .int32(columns)
                    .int32(beta == 0 ? 0 : 1)
                    .int32(width)
                    .int32(chunks)
                    .run(blocks, 1, 1, groups * width, held ? groups * sharedPerRow : 0);
        }
        if (dWeight != null) {
            addPartials(dWeight, dBias, weightBeta, partials, blocks, columns);
        }
    }

    private Launcher startRows(
            Kernel[] kernels,
            @Nullable Tensor dx,
            long partials,
            Tensor dy,
            Tensor x,
            @Nullable Tensor mean,
            Tensor rstd,
            Tensor weight) {
        return launcher.start(kernels[x.dtype().ordinal()])
                .tensor(dx)
                .pointer(partials)
                .tensor(dy)
                .tensor(x)
                .tensor(mean)
                .tensor(rstd)
                .tensor(weight);
    }

    /// Rows that a block has at a time: as many as its threads and shared memory allow, but no more than spread all
    /// rows over the device; 0 when not even one fits.
    private int groups(int width, int sharedPerRow, long rows) {
        int fitting = Math.min(MOST_THREADS / width, (launcher.sharedBytes() - STATIC_SHARED) / sharedPerRow);
        long spread = Math.max(1, Math.ceilDiv(rows, launcher.multiprocessors()));
        return (int) Math.min(fitting, spread);
    }

    private static boolean aligned(@Nullable Tensor dx, Tensor dy, Tensor x, Tensor weight) {
        long addresses = (dx == null ? 0 : dx.address()) | dy.address() | x.address() | weight.address();
        return (addresses & 15) == 0;
    }

    private void addPartials(
            Tensor dWeight, @Nullable Tensor dBias, float beta, long partials, int blocks, int columns) {
        launcher.start(addPartials[dWeight.dtype().ordinal()])
                .tensor(dWeight)
                .tensor(dBias)
                .pointer(partials)
                .int32(blocks)
                .int64((long) weights * columns)
                .int32(columns)
                .int32(beta == 0 ? 0 : 1)
                .run(Math.ceilDiv(columns, 32), dBias == null ? 1 : 2, 1, 256, 0);
    }
}
