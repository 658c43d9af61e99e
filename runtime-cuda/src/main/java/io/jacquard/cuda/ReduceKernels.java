package io.jacquard.cuda;

import static io.jacquard.cuda.Streaming.THREADS;

import io.jacquard.cuda.driver.Kernel;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import java.util.Arrays;
import java.util.Locale;

/// Sums over rows or everything, in a fixed order: partial sums in the workspace, then the sum of those.
final class ReduceKernels {
    private static final int WARP = 32;

    /// Rows that a thread of `sum_rows` reads before it adds the first.
    private static final int ROWS_IN_FLIGHT = 4;

    /// What fits at once: `sum_rows` takes 48 registers, so five blocks of 256.
    private static final int BLOCKS_PER_MULTIPROCESSOR = 5;

    /// Narrow blocks for the sum of the shares, which are few and short: more blocks, fewer rows each.
    private static final int LANES_OF_SHARES = 8;

    private static final int PARTIAL_BYTES = 8;

    private final Launcher launcher;
    private final Kernel[][] sumRows;
    private final Kernel[] sum;
    private final Kernel[] squares;
    private final Kernel sumPartials;
    private final Kernel normPartials;
    private final Kernel count;

    ReduceKernels(Launcher launcher) {
        this.launcher = launcher;
        this.sumRows = Arrays.stream(new DType[] {DType.F32, DType.BF16, DType.F16})
                .map(from -> launcher.floats("sum_rows_" + from.name().toLowerCase(Locale.ROOT)))
                .toArray(Kernel[][]::new);
        this.sum = launcher.floats("sum");
        this.squares = launcher.floats("squares");
        this.sumPartials = launcher.kernel("sum_partials");
        this.normPartials = launcher.kernel("norm_partials");
        this.count = launcher.kernel("count_step");
    }

    void sumRows(Tensor out, Tensor x, float beta) {
        int columns = (int) out.size();
        if (columns == 0) {
            return;
        }
        long rows = x.size() / columns;
        int width = width(x.address(), columns, x.dtype());
        int lanes = Math.min(WARP, powerOfTwo(columns / width));
        int groups = Math.ceilDiv(columns, lanes * width);
        long longest = Math.ceilDiv(rows, (long) ROWS_IN_FLIGHT * (THREADS / lanes));
        long wanted = Math.min(longest, (long) BLOCKS_PER_MULTIPROCESSOR * launcher.multiprocessors() / groups);
        int shares = (int) Math.max(1, wanted);
        long partials = shares == 1 ? 0 : launcher.workspace(DType.F32.bytes((long) shares * columns));
        launcher.start(sumRows[x.dtype().ordinal()][out.dtype().ordinal()])
                .tensor(out)
                .pointer(partials)
                .tensor(x)
                .float32(beta)
                .int64(rows)
                .int32(columns)
                .int32(lanes)
                .int32(width)
                .run(groups, shares, 1, THREADS, 0);
        if (shares > 1) {
            sumShares(out, partials, beta, shares, columns);
        }
    }

    private void sumShares(Tensor out, long partials, float beta, int shares, int columns) {
        int width = width(partials, columns, DType.F32);
        launcher.start(sumRows[DType.F32.ordinal()][out.dtype().ordinal()])
                .tensor(out)
                .pointer(0)
                .pointer(partials)
                .float32(beta)
                .int64(shares)
                .int32(columns)
                .int32(LANES_OF_SHARES)
                .int32(width)
                .run(Math.ceilDiv(columns, LANES_OF_SHARES * width), THREADS);
    }

    /// Columns that one access covers.
    private static int width(long address, int columns, DType dtype) {
        int most = Streaming.elements(dtype);
        return address % dtype.bytes(most) == 0 && columns % most == 0 ? most : 1;
    }

    /// The smallest power of two that is not below `n`.
    private static int powerOfTwo(int n) {
        return n <= 1 ? 1 : Integer.highestOneBit(n - 1) << 1;
    }

    void sum(Tensor out, Tensor x) {
        total(sumPartials, sum, out, x);
    }

    void norm(Tensor out, Tensor gradients) {
        total(normPartials, squares, out, gradients);
    }

    private void total(Kernel last, Kernel[] first, Tensor out, Tensor x) {
        int blocks = Streaming.blocks(launcher, x.size(), x.dtype());
        long partials = launcher.workspace((long) blocks * PARTIAL_BYTES);
        launcher.start(first[x.dtype().ordinal()])
                .pointer(partials)
                .tensor(x)
                .int64(x.size())
                .run(blocks, THREADS);
        launcher.start(last).tensor(out).pointer(partials).int32(blocks).run(1, THREADS);
    }

    void count(Tensor counter, Tensor flag, int index) {
        launcher.start(count).tensor(counter).tensor(flag).int32(index).run(1, WARP);
    }
}
