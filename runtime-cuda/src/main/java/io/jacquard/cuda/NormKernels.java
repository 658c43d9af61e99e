package io.jacquard.cuda;

import io.jacquard.cuda.driver.Kernel;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// Norms and softmax over the last dimension: a row to a warp or to a few.
final class NormKernels {
    /// Threads of a block of the forward kernels, as far as rows allow.
    private static final int THREADS = 256;

    /// 16-byte chunks of a row that a thread of the forward kernels holds: `CHUNKS` in norm.cuh and softmax.cu.
    private static final int CHUNKS = 4;

    /// What the kernels' launch bounds let a multiprocessor hold: a grid-stride loop over more blocks would start
    /// rows late, over fewer would leave room.
    private static final int BLOCKS_PER_MULTIPROCESSOR = 3;

    private final Launcher launcher;
    private final Kernel[] layerNorm;
    private final Kernel[] rmsNorm;
    private final Kernel[] softmax;
    private final Kernel[] softmaxGrad;
    private final NormGradKernels layerNormGrad;
    private final NormGradKernels rmsNormGrad;

    NormKernels(Launcher launcher) {
        this.launcher = launcher;
        layerNorm = launcher.floats("layer_norm");
        rmsNorm = launcher.floats("rms_norm");
        softmax = launcher.floats("softmax");
        softmaxGrad = launcher.floats("softmax_grad");
        layerNormGrad = new NormGradKernels(launcher, "layer_norm_grad", 2, 3);
        rmsNormGrad = new NormGradKernels(launcher, "rms_norm_grad", 1, 4);
    }

    void layerNorm(
            Tensor out,
            @Nullable Tensor total,
            Tensor mean,
            Tensor rstd,
            Tensor x,
            @Nullable Tensor residual,
            Tensor weight,
            Tensor bias,
            float epsilon) {
        if (x.size() == 0) {
            return;
        }
        launcher.start(layerNorm[x.dtype().ordinal()])
                .tensor(out)
                .tensor(total)
                .tensor(mean)
                .tensor(rstd)
                .tensor(x)
                .tensor(residual)
                .tensor(weight)
                .tensor(bias)
                .float32(epsilon);
        runNorm(x, residual != null);
    }

    void rmsNorm(
            Tensor out,
            @Nullable Tensor total,
            Tensor rstd,
            Tensor x,
            @Nullable Tensor residual,
            Tensor weight,
            float epsilon) {
        if (x.size() == 0) {
            return;
        }
        launcher.start(rmsNorm[x.dtype().ordinal()])
                .tensor(out)
                .tensor(total)
                .tensor(rstd)
                .tensor(x)
                .tensor(residual)
                .tensor(weight)
                .float32(epsilon);
        runNorm(x, residual != null);
    }

    private void runNorm(Tensor x, boolean withResidual) {
        int columns = RowGroups.columns(x);
        long rows = RowGroups.rows(x, columns);
        int width = width(x);
        int groups = groups(width, rows);
        int chunks = chunks(x, width);
        int threads = groups * width;
        int shared = sharedBytes(chunks, threads, withResidual);
        launcher.int64(rows).int32(columns).int32(width).int32(chunks).run(blocks(rows, groups), 1, 1, threads, shared);
    }

    void layerNormGrad(
            @Nullable Tensor dx,
            float beta,
            @Nullable Tensor dWeight,
            @Nullable Tensor dBias,
            float weightBeta,
            Tensor dy,
            Tensor x,
            Tensor mean,
            Tensor rstd,
            Tensor weight) {
        layerNormGrad.run(dx, beta, dWeight, dBias, weightBeta, dy, x, mean, rstd, weight);
    }

    void rmsNormGrad(
            @Nullable Tensor dx,
            float beta,
            @Nullable Tensor dWeight,
            float weightBeta,
            Tensor dy,
            Tensor x,
            Tensor rstd,
            Tensor weight) {
        rmsNormGrad.run(dx, beta, dWeight, null, weightBeta, dy, x, null, rstd, weight);
    }

    void softmax(Tensor out, Tensor x) {
        if (x.size() == 0) {
            return;
        }
        launcher.start(softmax[x.dtype().ordinal()]).tensor(out).tensor(x);
        int columns = RowGroups.columns(x);
        long rows = RowGroups.rows(x, columns);
        int width = width(x);
        int groups = groups(width, rows);
        launcher.int64(rows).int32(columns).int32(width).run(blocks(rows, groups), groups * width);
    }

    void softmaxGrad(Tensor dx, Tensor dy, Tensor y, float beta) {
        if (y.size() == 0) {
            return;
        }
        launcher.start(softmaxGrad[y.dtype().ordinal()]).tensor(dx).tensor(dy).tensor(y);
        int columns = RowGroups.columns(y);
        long rows = RowGroups.rows(y, columns);
        int width = width(y);
        int groups = groups(width, rows);
        launcher.int64(rows)
                .int32(columns)
                .int32(beta == 0 ? 0 : 1)
                .int32(width)
                .run(blocks(rows, groups), groups * width);
    }

    /// Threads of a row.
    static int width(Tensor x) {
        return RowGroups.threads(RowGroups.columns(x), CHUNKS * RowGroups.vector(x), THREADS);
    }

    /// 16-byte chunks of a row for each of its `width` threads.
    static int chunks(Tensor x, int width) {
        return Math.ceilDiv(RowGroups.columns(x), RowGroups.vector(x) * width);
    }

    /// One stage of x, and of residual; the kernels do without for rows that are too wide to be held.
    static int sharedBytes(int chunks, int threads, boolean withResidual) {
        return chunks > CHUNKS ? 0 : (withResidual ? 2 : 1) * chunks * threads * 16;
    }

    /// Rows that a block has at a time: no more than spread all rows over the device.
    private int groups(int width, long rows) {
        return (int) Math.min(THREADS / width, Math.ceilDiv(rows, launcher.multiprocessors()));
    }

    private int blocks(long rows, int groups) {
        return (int)
                Math.min(Math.ceilDiv(rows, groups), (long) BLOCKS_PER_MULTIPROCESSOR * launcher.multiprocessors());
    }
}
