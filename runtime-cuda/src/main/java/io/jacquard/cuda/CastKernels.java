package io.jacquard.cuda;

import io.jacquard.cuda.driver.Kernel;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Casts;
import io.jacquard.tensor.spi.Scaled;
import org.jspecify.annotations.Nullable;

/// Activations and norms that make low-precision copies of their result.
final class CastKernels {
    /// A tile of `casts.cu`: rows of the activations and of the norms, columns, threads.
    private static final int ROWS = 64;

    private static final int NORM_ROWS = 32;
    private static final int COLUMNS = 128;
    private static final int THREADS = 256;

    private final Launcher launcher;
    private final Kernel[] gelu;
    private final Kernel[] geluGrad;
    private final Kernel[] swiGlu;
    private final Kernel[] layerNorm;
    private final Kernel[] rmsNorm;

    CastKernels(Launcher launcher) {
        this.launcher = launcher;
        this.gelu = launcher.floats("gelu_cast");
        this.geluGrad = launcher.floats("gelu_grad_cast");
        this.swiGlu = launcher.floats("swiglu_cast");
        this.layerNorm = launcher.floats("layer_norm_cast");
        this.rmsNorm = launcher.floats("rms_norm_cast");
    }

    void gelu(@Nullable Tensor out, Tensor x, Casts casts) {
        if (x.size() > 0) {
            start(gelu, out, x, RowGroups.columns(x), casts).tensor(x);
            runTiles(x, RowGroups.columns(x), casts);
        }
    }

    void geluGrad(Tensor dx, Tensor dy, Tensor x, float beta, Casts casts) {
        if (x.size() > 0) {
            start(geluGrad, dx, x, RowGroups.columns(x), casts)
                    .tensor(dy)
                    .tensor(x)
                    .float32(beta);
            runTiles(x, RowGroups.columns(x), casts);
        }
    }

    void swiGlu(@Nullable Tensor out, Tensor x, Casts casts) {
        if (x.size() > 0) {
            start(swiGlu, out, x, RowGroups.columns(x) / 2, casts).tensor(x);
            runTiles(x, RowGroups.columns(x) / 2, casts);
        }
    }

    private void runTiles(Tensor x, int columns, Casts casts) {
        int tiles = Math.multiplyExact(Math.ceilDiv(rows(x), ROWS), Math.ceilDiv(columns, COLUMNS));
        launcher.run(tiles, 1, 1, THREADS, tileBytes(casts, x.dtype(), ROWS));
    }

    void layerNorm(
            @Nullable Tensor out,
            @Nullable Tensor total,
            Tensor mean,
            Tensor rstd,
            Tensor x,
            @Nullable Tensor residual,
            Tensor weight,
            Tensor bias,
            float epsilon,
            Casts casts) {
        if (x.size() > 0) {
            start(layerNorm, out, x, RowGroups.columns(x), casts)
                    .tensor(total)
                    .tensor(mean)
                    .tensor(rstd)
                    .tensor(x)
                    .tensor(residual)
                    .tensor(weight)
                    .tensor(bias);
            norm(x, residual, epsilon, casts);
        }
    }

    void rmsNorm(
            @Nullable Tensor out,
            @Nullable Tensor total,
            Tensor rstd,
            Tensor x,
            @Nullable Tensor residual,
            Tensor weight,
            float epsilon,
            Casts casts) {
        if (x.size() > 0) {
            start(rmsNorm, out, x, RowGroups.columns(x), casts)
                    .tensor(total)
                    .tensor(rstd)
                    .tensor(x)
                    .tensor(residual)
                    .tensor(weight);
            norm(x, residual, epsilon, casts);
        }
    }

    /// The statistics of a row are summed up by as many threads as in the kernel that writes the result alone.
    private void norm(Tensor x, @Nullable Tensor residual, float epsilon, Casts casts) {
        int width = NormKernels.width(x);
        int chunks = NormKernels.chunks(x, width);
        int rowBytes = NormKernels.sharedBytes(chunks, THREADS, residual != null);
        launcher.float32(epsilon)
                .int32(width)
                .int32(chunks)
                .run(
                        Math.ceilDiv(rows(x), NORM_ROWS),
                        1,
                        1,
                        THREADS,
                        Math.max(rowBytes, tileBytes(casts, x.dtype(), NORM_ROWS)));
    }

    private static int rows(Tensor x) {
        return Math.toIntExact(RowGroups.rows(x, RowGroups.columns(x)));
    }

    private Launcher start(Kernel[] kernels, @Nullable Tensor out, Tensor x, int columns, Casts casts) {
        Scaled straight = casts.straight();
        Scaled transposed = casts.transposed();
        Scaled any = straight == null ? transposed : straight;
        launcher.start(kernels[x.dtype().ordinal()]).tensor(out);
        copy(straight);
        copy(transposed);
        return launcher.int32(any == null ? 0 : QuantizeKernels.code(any.type()))
                .tensor(casts.amax())
                .int32(rows(x))
                .int32(columns);
    }

    private void copy(@Nullable Scaled s) {
        launcher.tensor(s == null ? null : s.values()).tensor(s == null ? null : s.scales());
    }

    /// What a tile takes in shared memory on its way to the transposed copy.
    private static int tileBytes(Casts casts, DType dtype, int rows) {
        return casts.transposed() == null ? 0 : (int) dtype.bytes((long) rows * QuantizeKernels.pitch(dtype));
    }
}
