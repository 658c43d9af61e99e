package io.jacquard.cpu;

import io.jacquard.cpu.LowPrecision.Grid;
import io.jacquard.tensor.DType;
import org.jspecify.annotations.Nullable;

/// Matrix products: tiles of the output, each one serial oneDNN call followed by its epilogue while the tile is in
/// cache.
final class Gemm {
    /// Columns of `k` taken at once by the widening path.
    private static final int WIDE_K = 1024;

    /// A large product has at least so many tiles, so that so many cores have work.
    private static final int MIN_TILES = 8;

    /// The product; matrices row-major and contiguous, `[m, k] x [k, n]` after the transpositions. A grid has the
    /// scales of a low-precision operand, as it is stored.
    record Product(
            Operand out,
            Operand a,
            boolean ta,
            Operand b,
            boolean tb,
            int m,
            int n,
            int k,
            float beta,
            @Nullable Operand bias,
            @Nullable Operand pre,
            @Nullable Grid gridA,
            @Nullable Grid gridB) {
        boolean isScaled() {
            return gridA != null || gridB != null;
        }

        long leadingA() {
            return ta ? m : k;
        }

        long leadingB() {
            return tb ? k : n;
        }

        long firstA(int row) {
            return ta ? row : (long) row * k;
        }

        long firstB(int column) {
            return tb ? (long) column * k : column;
        }
    }

    private Gemm() {}

    static void run(Workers workers, Product p) {
        int tileM = tileRows(p.m, p.n);
        int tileN = tileColumns(p.m, p.n);
        int across = Math.ceilDiv(p.n, tileN);
        boolean floats = p.a.inPlace() && p.b.inPlace() && p.out.inPlace();
        boolean primitive = primitive(p);
        workers.run(Math.multiplyExact(Math.ceilDiv(p.m, tileM), across), (chunk, lane) -> {
            int row = chunk / across * tileM;
            int column = chunk % across * tileN;
            int rows = Math.min(tileM, p.m - row);
            int columns = Math.min(tileN, p.n - column);
            if (p.k == 0) {
                empty(p, row, rows, column, columns, lane);
            } else if (floats) {
                floats(p, row, rows, column, columns);
            } else if (!primitive || !bf16(p, row, rows, column, columns, lane)) {
                widened(p, row, rows, column, columns, lane);
            }
        });
    }

    /// oneDNN would accumulate into `pre`, where the activation's argument goes, instead of `out`.
    private static boolean primitive(Product p) {
        return p.a.type() == DType.BF16 && !p.isScaled() && (p.pre == null || p.beta == 0f);
    }

    /// Rows of a tile. Larger tiles pack less, smaller ones share out better: serial GF/s of 1024x2304x768 with all
    /// rows at once 109, 512 rows 106, 256 rows 105, 128 rows 98 (bf16: 206, 204, 204, 188).
    private static int tileRows(int m, int n) {
        if (m <= 256) {
            return Math.max(1, m);
        }
        return n / 4 > m ? Math.min(m, 1024) : Math.clamp(multiple(Math.ceilDiv(m, MIN_TILES)), 256, 512);
    }

    private static int tileColumns(int m, int n) {
        int parts =
                Math.min(Math.ceilDiv(MIN_TILES, Math.ceilDiv(Math.max(1, m), tileRows(m, n))), Math.ceilDiv(n, 512));
        return multiple(Math.ceilDiv(n, Math.max(Math.max(1, parts), Math.ceilDiv(n, 2048))));
    }

    /// Rounded up to what the micro-kernels take at once.
    private static int multiple(int size) {
        return Math.max(64, Math.ceilDiv(size, 64) * 64);
    }

    private static void floats(Product p, int row, int rows, int column, int columns) {
        long out = p.out.at((long) row * p.n + column);
        OneDnn.sgemm(
                p.ta,
                p.tb,
                rows,
                columns,
                p.k,
                1f,
                p.a.at(p.firstA(row)),
                p.leadingA(),
                p.b.at(p.firstB(column)),
                p.leadingB(),
                p.beta,
                out,
                p.n);
        for (int i = 0; i < rows && (p.bias != null || p.pre != null); i++) {
            long first = (long) (row + i) * p.n + column;
            if (p.bias != null) {
                FloatMath.accumulate(p.out.at(first), p.bias.at(column), columns);
            }
            if (p.pre != null) {
                Mem.copy(p.out.at(first), p.pre.at(first), 4L * columns);
                Activations.gelu(p.out.at(first), p.out.at(first), columns);
            }
        }
    }

    private static boolean bf16(Product p, int row, int rows, int column, int columns, Lane lane) {
        Operand target = p.pre == null ? p.out : p.pre;
        int biasType = p.bias == null ? 0 : type(p.bias);
        MatmulPrimitive primitive = MatmulPrimitive.of(
                new MatmulPrimitive.Key(
                        rows,
                        columns,
                        p.k,
                        OneDnn.BF16,
                        p.ta,
                        p.leadingA(),
                        p.tb,
                        p.leadingB(),
                        type(target),
                        p.n,
                        biasType,
                        p.beta != 0f),
                lane);
        if (primitive == null) {
            return false;
        }
        primitive.run(
                p.a.at(p.firstA(row)),
                p.b.at(p.firstB(column)),
                target.at((long) row * p.n + column),
                p.bias == null ? 0 : p.bias.at(column),
                lane);
        if (p.pre != null) {
            for (int i = 0; i < rows; i++) {
                geluRow(p, p.pre, (long) (row + i) * p.n + column, columns, lane);
            }
        }
        return true;
    }

    private static void geluRow(Product p, Operand pre, long first, int columns, Lane lane) {
        long mark = lane.mark();
        long scratch = lane.floats(columns);
        long x = pre.read(first, columns, scratch);
        Activations.gelu(p.out.target(first, scratch), x, columns);
        p.out.written(first, columns, scratch);
        lane.release(mark);
    }

    private static int type(Operand o) {
        return switch (o.type()) {
            case F32 -> OneDnn.F32;
            case BF16 -> OneDnn.BF16;
            default -> OneDnn.F16;
        };
    }

    /// For types the processor cannot multiply: widens panels of both matrices, scales them, and multiplies those.
    private static void widened(Product p, int row, int rows, int column, int columns, Lane lane) {
        long c = lane.floats((long) rows * columns);
        long a = lane.floats((long) rows * WIDE_K);
        long b = lane.floats((long) columns * WIDE_K);
        for (int k0 = 0; k0 < p.k; k0 += WIDE_K) {
            int k = Math.min(WIDE_K, p.k - k0);
            long leadingA = panel(p.a, p.gridA, p.ta, p.leadingA(), row, rows, k0, k, a);
            long leadingB = panel(p.b, p.gridB, !p.tb, p.leadingB(), column, columns, k0, k, b);
            OneDnn.sgemm(p.ta, p.tb, rows, columns, k, 1f, a, leadingA, b, leadingB, k0 == 0 ? 0f : 1f, c, columns);
        }
        finish(p, row, rows, column, columns, c, lane);
    }

    /// Widens `size` indices of one matrix by `k` of the shared dimension; `inner` when the shared dimension is the
    /// outer one in memory. Returns the panel's leading dimension.
    private static long panel(
            Operand x, @Nullable Grid grid, boolean inner, long leading, int from, int size, int k0, int k, long to) {
        int lines = inner ? k : size;
        int length = inner ? size : k;
        long first = inner ? (long) k0 * leading + from : (long) from * leading + k0;
        for (int i = 0; i < lines; i++) {
            long line = to + 4L * i * length;
            Convert.widen(x.type(), x.at(first + i * leading), line, length);
            if (grid != null) {
                grid.apply(inner ? k0 + i : from + i, inner ? from : k0, line, length);
            }
        }
        return length;
    }

    private static void empty(Product p, int row, int rows, int column, int columns, Lane lane) {
        long c = lane.floats((long) rows * columns);
        Mem.zero(c, 4L * rows * columns);
        finish(p, row, rows, column, columns, c, lane);
    }

    /// Accumulates into what was there, adds the bias, activates and stores a tile of floats.
    private static void finish(Product p, int row, int rows, int column, int columns, long c, Lane lane) {
        long scratch = lane.floats(columns);
        for (int i = 0; i < rows; i++) {
            long first = (long) (row + i) * p.n + column;
            long line = c + 4L * i * columns;
            if (p.beta != 0f) {
                FloatMath.accumulate(line, p.out.read(first, columns, scratch), columns);
            }
            if (p.bias != null) {
                FloatMath.accumulate(line, p.bias.read(column, columns, scratch), columns);
            }
            if (p.pre != null) {
                Convert.narrow(p.pre.type(), line, p.pre.at(first), columns);
                Convert.widen(p.pre.type(), p.pre.at(first), line, columns);
                Activations.gelu(line, line, columns);
            }
            Convert.narrow(p.out.type(), line, p.out.at(first), columns);
        }
    }
}
