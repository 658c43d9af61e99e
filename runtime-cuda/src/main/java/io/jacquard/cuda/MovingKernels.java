package io.jacquard.cuda;

import static io.jacquard.cuda.Streaming.THREADS;

import io.jacquard.cuda.driver.Kernel;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import java.util.Arrays;
import java.util.Locale;

/// Moving and filling: fill, cast, strided copy, random numbers.
final class MovingKernels {
    /// Edge of the tile of `transpose`.
    private static final int TILE = 64;

    /// Shorter dimensions leave most of a tile empty.
    private static final int SHORTEST_TRANSPOSED = 16;

    /// Elements of one contiguous copy: an index of one dimension has 32 bits.
    private static final int LONGEST = 1 << 30;

    private static final long[] CONTIGUOUS = {1};

    private final Launcher launcher;
    private final Kernel[] fill;
    private final Kernel[][] cast;
    private final Kernel[] copy;
    private final Kernel[] transpose;
    private final Kernel[] random;
    private final CopyPlan plan = new CopyPlan();
    private final int[] length = {0};

    MovingKernels(Launcher launcher) {
        this.launcher = launcher;
        this.fill = launcher.types("fill");
        this.cast = Arrays.stream(DType.values())
                .filter(from -> from != DType.I4) // the last: without a scale it is of no use
                .map(from -> launcher.types("cast_" + from.name().toLowerCase(Locale.ROOT)))
                .toArray(Kernel[][]::new);
        this.copy = launcher.types("copy");
        this.transpose = launcher.types("transpose");
        this.random = launcher.floats("random");
    }

    void fill(Tensor out, float value) {
        launcher.start(fill[out.dtype().ordinal()])
                .tensor(out)
                .float32(value)
                .int64(out.size())
                .run(blocks(out.size(), out.dtype()), THREADS);
    }

    void cast(Tensor out, Tensor x) {
        DType from = x.dtype();
        DType to = out.dtype();
        if (from == to) {
            for (long i = 0; i < out.size(); i += LONGEST) {
                length[0] = (int) Math.min(LONGEST, out.size() - i);
                copy(out, i, CONTIGUOUS, x, i, CONTIGUOUS, length, 0f);
            }
            return;
        }
        launcher.start(cast[from.ordinal()][to.ordinal()])
                .tensor(out)
                .tensor(x)
                .int64(out.size())
                .run(blocks(out.size(), from.bytes(1) > to.bytes(1) ? from : to), THREADS);
    }

    void copy(
            Tensor out,
            long outOffset,
            long[] outStrides,
            Tensor x,
            long xOffset,
            long[] xStrides,
            int[] sizes,
            float beta) {
        plan.set(outStrides, xStrides, sizes);
        boolean transposed = plan.transpose(SHORTEST_TRANSPOSED);
        if (plan.elements() == 0) {
            return;
        }
        long repeats = plan.repeats();
        for (long r = 0; r < repeats; r++) {
            long to = out.address() + out.dtype().bytes(outOffset + plan.outOffset(r));
            long from = x.address() + x.dtype().bytes(xOffset + plan.xOffset(r));
            if (transposed) {
                transpose(out.dtype(), to, from, beta);
            } else {
                copy(out.dtype(), to, from, beta);
            }
        }
    }

    private void copy(DType dtype, long to, long from, float beta) {
        long n = plan.elements();
        launcher.start(copy[dtype.ordinal()])
                .pointer(to)
                .pointer(from)
                .float32(beta)
                .int64(n);
        for (int d = 1; d < CopyPlan.DIMENSIONS; d++) {
            launcher.int32(plan.size(d));
        }
        for (int d = 0; d < CopyPlan.DIMENSIONS; d++) {
            launcher.int64(plan.outStride(d));
        }
        for (int d = 0; d < CopyPlan.DIMENSIONS; d++) {
            launcher.int64(plan.xStride(d));
        }
        launcher.run(blocks(n, dtype), THREADS);
    }

    private void transpose(DType dtype, long to, long from, float beta) {
        int columns = plan.size(2);
        int rows = plan.size(3);
        launcher.start(transpose[dtype.ordinal()])
                .pointer(to)
                .pointer(from)
                .float32(beta)
                .int32(rows)
                .int32(columns)
                .int64(plan.xStride(3))
                .int64(plan.outStride(2))
                .int32(plan.size(1))
                .int64(plan.outStride(0))
                .int64(plan.outStride(1))
                .int64(plan.xStride(0))
                .int64(plan.xStride(1));
        long tiles = (long) Math.ceilDiv(rows, TILE) * Math.ceilDiv(columns, TILE);
        launcher.run(Math.toIntExact(tiles * plan.size(0) * plan.size(1)), THREADS);
    }

    void random(Tensor out, float deviation, long seed, int site) {
        launcher.start(random[out.dtype().ordinal()])
                .tensor(out)
                .float32(deviation)
                .int64(seed)
                .int32(site)
                .int64(out.size())
                .run(launcher.blocks(out.size(), 4 * THREADS), THREADS);
    }

    private int blocks(long n, DType widest) {
        return Streaming.blocks(launcher, n, widest);
    }
}
