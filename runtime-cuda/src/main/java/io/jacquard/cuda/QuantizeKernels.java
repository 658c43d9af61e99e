package io.jacquard.cuda;

import static io.jacquard.cuda.Streaming.THREADS;

import io.jacquard.cuda.driver.Kernel;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Scaled;
import io.jacquard.tensor.spi.Scaled.Blocks;
import org.jspecify.annotations.Nullable;

/// Scales, and copies of matrices in low precision and back.
final class QuantizeKernels {
    private static final int WARP = 32;

    /// Edge of the tile of `quantize`.
    private static final int TILE = 128;

    /// Neighbours that a thread of `dequantize` has.
    private static final int EIGHT = 8;

    private static final int ACCESSES_IN_FLIGHT = 4;

    private final Launcher launcher;
    private final Kernel fill;
    private final Kernel[] absMax;
    private final Kernel scaleOf;
    private final Kernel[] quantize;
    private final Kernel[] dequantize;
    private final Kernel delayScales;

    QuantizeKernels(Launcher launcher) {
        this.launcher = launcher;
        this.fill = launcher.kernel("fill_f32");
        this.absMax = launcher.floats("abs_max");
        this.scaleOf = launcher.kernel("scale_of");
        this.quantize = launcher.floats("quantize");
        this.dequantize = launcher.floats("dequantize");
        this.delayScales = launcher.kernel("delay_scales");
    }

    /// The number by which kernels know a type of low precision: `scaled.cuh`.
    static int code(DType type) {
        return type.ordinal() - DType.F8E4M3.ordinal();
    }

    /// Elements from one row of a tile in shared memory to the next: `PITCH` in `tile.cuh`.
    static int pitch(DType dtype) {
        return TILE + Streaming.elements(dtype);
    }

    void absMax(Tensor amax, Tensor x, float beta) {
        if (beta == 0) {
            zero(amax);
        }
        if (x.size() > 0) {
            int perBlock = THREADS * ACCESSES_IN_FLIGHT * Streaming.elements(x.dtype());
            launcher.start(absMax[x.dtype().ordinal()])
                    .tensor(amax)
                    .tensor(x)
                    .int64(x.size())
                    .run(launcher.blocks(x.size(), perBlock), THREADS);
        }
    }

    private void zero(Tensor x) {
        launcher.start(fill)
                .tensor(x)
                .float32(0)
                .int64(x.size())
                .run(Streaming.blocks(launcher, x.size(), x.dtype()), THREADS);
    }

    void scaleOf(Tensor scale, Tensor amax, DType type) {
        scaleOf(scale, amax, 1, type);
    }

    private void scaleOf(Tensor scales, Tensor amax, int count, DType type) {
        launcher.start(scaleOf)
                .tensor(scales)
                .tensor(amax)
                .int32(count)
                .float32(type.largest())
                .run(launcher.blocks(count, THREADS), THREADS);
    }

    void quantize(@Nullable Scaled out, @Nullable Scaled transposed, Tensor x) {
        if (x.size() == 0) {
            return;
        }
        if (out != null && transposed != null && out.type() != transposed.type()) {
            quantize(out, null, x);
            quantize(null, transposed, x);
            return;
        }
        Scaled collectedOut = out != null && isCollected(out) ? out : null;
        Scaled collectedTransposed = transposed != null && isCollected(transposed) ? transposed : null;
        if (collectedOut != null || collectedTransposed != null) {
            prepare(collectedOut);
            prepare(collectedTransposed);
            copy(collectedOut, collectedTransposed, x, true);
            finish(collectedOut);
            finish(collectedTransposed);
        }
        copy(out, transposed, x, false);
    }

    /// Whether a tile does not have whole blocks: a pass of its own collects what is largest in each.
    private static boolean isCollected(Scaled s) {
        return !s.blocks().isWhole() && !isLocal(s);
    }

    private static boolean isLocal(Scaled s) {
        return s.blocks().equals(Blocks.LINES) || s.blocks().equals(Blocks.SQUARES);
    }

    private void prepare(@Nullable Scaled s) {
        if (s != null) {
            zero(s.scales());
        }
    }

    private void finish(@Nullable Scaled s) {
        if (s != null) {
            scaleOf(s.scales(), s.scales(), Math.toIntExact(s.scales().size()), s.type());
        }
    }

    private void copy(@Nullable Scaled out, @Nullable Scaled transposed, Tensor x, boolean collecting) {
        int rows = Math.toIntExact(x.shape().rows());
        int columns = x.shape().last();
        Scaled any = out == null ? transposed : out;
        if (any == null) {
            return;
        }
        launcher.start(quantize[x.dtype().ordinal()])
                .tensor(x)
                .int32(rows)
                .int32(columns)
                .int32(code(any.type()));
        target(out);
        target(transposed);
        int shared = transposed == null || collecting ? 0 : (int) x.dtype().bytes((long) TILE * pitch(x.dtype()));
        int tiles = Math.multiplyExact(Math.ceilDiv(rows, TILE), Math.ceilDiv(columns, TILE));
        launcher.int32(collecting ? 1 : 0).run(tiles, 1, 1, THREADS, shared);
    }

    private void target(@Nullable Scaled s) {
        launcher.tensor(s == null ? null : s.values())
                .tensor(s == null ? null : s.scales())
                .int32(s == null ? 1 : s.blocks().rows())
                .int32(s == null ? 1 : s.blocks().columns())
                .int32(s == null || isLocal(s) ? 0 : 1);
    }

    void dequantize(Tensor out, Scaled x) {
        dequantize(out.dtype(), out.address(), x);
    }

    /// The same to `address`, as elements of `dtype`.
    void dequantize(DType dtype, long address, Scaled x) {
        long eights = (long) x.rows() * Math.ceilDiv(x.columns(), EIGHT);
        if (eights == 0) {
            return;
        }
        launcher.start(dequantize[dtype.ordinal()])
                .pointer(address)
                .tensor(x.values())
                .tensor(x.scales())
                .tensor(x.zeros())
                .int32(x.blocks().rows())
                .int32(x.blocks().columns())
                .int32(x.blocks().across(x.columns()))
                .int32(code(x.type()))
                .int32(x.rows())
                .int32(x.columns())
                .run(launcher.blocks(eights, THREADS), THREADS);
    }

    void delayScales(Tensor scales, Tensor history, Tensor amax, Tensor largest) {
        int n = amax.shape().last();
        if (n == 0) {
            return;
        }
        launcher.start(delayScales)
                .tensor(scales)
                .tensor(history)
                .tensor(amax)
                .int32(amax.shape().dim(0))
                .tensor(largest)
                .int32(history.shape().last())
                .run(n, WARP);
    }
}
