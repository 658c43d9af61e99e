package io.jacquard.cpu;

import io.jacquard.cpu.LowPrecision.Grid;
import io.jacquard.tensor.DType;
import org.jspecify.annotations.Nullable;

/// Low-precision copies of matrices and their scales. What is transposed is another pass over the operand: its blocks
/// are others.
final class Quantization {
    /// Rows and columns of what is transposed at once: 16 KB of elements, with whole cache lines on both sides.
    static final int TILE = 128;

    /// A low-precision matrix as kernels see it.
    ///
    /// @param given whether the scale, that of all of it, is there already
    record Copy(Operand values, Grid grid, boolean given) {}

    private Quantization() {}

    /// `amax[0] = max(beta * amax[0], |x|)`.
    static void absMax(Workers workers, long amax, Operand x, float beta, long n) {
        int chunks = Elementwise.chunks(n);
        Lane mine = workers.borrow();
        try {
            long partials = mine.floats(Math.max(1, chunks));
            workers.run(
                    chunks,
                    (chunk, lane) -> {
                        long from = (long) chunk * Elementwise.CHUNK;
                        int size = (int) Math.min(Elementwise.CHUNK, n - from);
                        long floats = x.read(from, size, lane.floats(size));
                        Mem.setInt(partials + 4L * chunk, LowPrecision.absMax(floats, size));
                    },
                    mine);
            int most = beta == 0f ? 0 : Mem.getInt(amax);
            for (int i = 0; i < chunks; i++) {
                most = Math.max(most, Mem.getInt(partials + 4L * i));
            }
            Mem.setInt(amax, most);
        } finally {
            workers.giveBack(mine);
        }
    }

    static void scaleOf(long scale, long amax, DType type) {
        Mem.setFloat(scale, LowPrecision.scale(Mem.getInt(amax), type));
    }

    /// Both copies of `x` `[rows, columns]`, one after the other.
    static void run(Workers workers, @Nullable Copy out, @Nullable Copy transposed, Operand x, int rows, int columns) {
        if (out != null) {
            straight(workers, out, x, rows, columns);
        }
        if (transposed != null) {
            transposed(workers, transposed, x, rows, columns);
        }
    }

    private static void straight(Workers workers, Copy out, Operand x, int rows, int columns) {
        Grid g = out.grid;
        int together = Math.min(g.rows(), TILE); // rows of a chunk: of one row of blocks, or of some part of all
        int perChunk = together == 1 ? Math.max(1, Elementwise.CHUNK / 4 / Math.max(1, columns)) : together;
        workers.run(Math.ceilDiv(rows, perChunk), (chunk, lane) -> {
            long floats = lane.floats(columns);
            int first = chunk * perChunk;
            for (int row = first; row < Math.min(rows, first + perChunk); row += together) {
                int last = Math.min(rows, row + together);
                if (!out.given) {
                    scales(out, x, row, last, columns, floats);
                }
                straightRows(out, x, row, last, columns, lane);
            }
        });
    }

    /// The scales of one row of blocks: rows `first` to `last` of `x`.
    private static void scales(Copy out, Operand x, int first, int last, int columns, long floats) {
        Grid g = out.grid;
        int down = first / g.rows();
        for (int right = 0; right < g.across(); right++) {
            Mem.setInt(g.scale(down, right), 0);
        }
        for (int r = first; r < last; r++) {
            long row = x.read((long) r * columns, columns, floats);
            for (int right = 0; right < g.across(); right++) {
                int from = right * g.columns();
                int n = Math.min(columns - from, g.columns());
                long most = g.scale(down, right);
                Mem.setInt(most, Math.max(Mem.getInt(most), LowPrecision.absMax(row + 4L * from, n)));
            }
        }
        for (int right = 0; right < g.across(); right++) {
            long scale = g.scale(down, right);
            Mem.setFloat(scale, LowPrecision.scale(Mem.getInt(scale), out.values.type()));
        }
    }

    private static void line(Copy out, long row, int r, int columns, long scratch) {
        Grid g = out.grid;
        for (int right = 0; right < g.across(); right++) {
            int from = right * g.columns();
            int n = Math.min(columns - from, g.columns());
            float scale = Mem.getFloat(g.scale(r / g.rows(), right));
            long to = out.values.at((long) r * columns + from);
            LowPrecision.quantize(out.values.type(), row + 4L * from, scale, to, n, scratch);
        }
    }

    /// Chunks of `TILE` columns of `x`: as many rows of the copy.
    private static void transposed(Workers workers, Copy out, Operand x, int rows, int columns) {
        Grid g = out.grid;
        workers.run(Math.ceilDiv(columns, TILE), (chunk, lane) -> {
            int from = chunk * TILE;
            int n = Math.min(TILE, columns - from);
            Tile tile = Tile.of(lane);
            for (int right = 0; right < g.across(); right++) {
                int first = right * g.columns();
                int last = (int) Math.min(rows, (long) first + g.columns());
                Mem.zero(tile.columns, 4L * TILE);
                for (int r = first; r < last && !out.given; r++) {
                    LowPrecision.absMaxInto(tile.columns, x.read((long) r * columns + from, n, tile.floats), n);
                }
                columnScales(out, from, n, right, tile.columns);
                for (int r = first; r < last; r += TILE) {
                    tile.transpose(out, x, r, Math.min(TILE, last - r), from, n, rows, columns);
                }
            }
        });
    }

    /// Rows `first` to `last`, at most [#TILE] from a multiple of it on, of a copy whose scale is given.
    static void straightRows(Copy out, Operand x, int first, int last, int columns, Lane lane) {
        long mark = lane.mark();
        long floats = lane.floats(columns);
        long scratch = lane.floats(Math.min(columns, out.grid.columns()));
        for (int r = first; r < last; r++) {
            line(out, x.read((long) r * columns, columns, floats), r, columns, scratch);
        }
        lane.release(mark);
    }

    /// What becomes of these rows of `x` in a transposed copy whose scale is given.
    static void transposedRows(Copy out, Operand x, int first, int last, int rows, int columns, Lane lane) {
        Tile tile = Tile.of(lane);
        for (int from = 0; from < columns; from += TILE) {
            int n = Math.min(TILE, columns - from);
            columnScales(out, from, n, 0, tile.columns);
            tile.transpose(out, x, first, last - first, from, n, rows, columns);
        }
    }

    /// Of the largest magnitudes of `n` columns from `from` on makes the inverse of each column's scale.
    private static void columnScales(Copy out, int from, int n, int right, long most) {
        Grid g = out.grid;
        int together = Math.min(g.rows(), TILE);
        for (int j = 0; j < n; j += together) {
            int width = Math.min(together, n - j);
            long scale = g.scale((from + j) / g.rows(), right);
            if (!out.given) {
                int largest = LowPrecision.absMax(most + 4L * j, width);
                Mem.setFloat(scale, LowPrecision.scale(largest, out.values.type()));
            }
            for (int i = 0; i < width; i++) {
                Mem.setFloat(most + 4L * (j + i), 1f / Mem.getFloat(scale));
            }
        }
    }

    /// Scratch for a tile that is transposed.
    ///
    /// @param columns of each column of the tile what is largest, then the inverse of its scale
    private record Tile(long floats, long columns, long line, long bytes) {
        static Tile of(Lane lane) {
            return new Tile(lane.floats(TILE), lane.floats(TILE), lane.bytes(TILE), lane.bytes((long) TILE * TILE));
        }

        /// `height` rows of `x` from `first` on, and of them `n` columns from `from` on.
        void transpose(Copy out, Operand x, int first, int height, int from, int n, int rows, int columns) {
            for (int r = 0; r < height; r++) {
                long row = x.read((long) (first + r) * columns + from, n, floats);
                Elementwise.mul(floats, row, this.columns, n);
                LowPrecision.narrow(out.values.type(), floats, line, n);
                for (int j = 0; j < n; j++) {
                    Mem.setByte(bytes + (long) j * TILE + r, Mem.getByte(line + j));
                }
            }
            for (int j = 0; j < n; j++) {
                Mem.copy(bytes + (long) j * TILE, out.values.at((long) (from + j) * rows + first), height);
            }
        }
    }

    /// `out = (x - zeros) * scales`.
    static void dequantize(Workers workers, Operand out, Operand x, Grid grid, int rows, int columns) {
        Rows.run(workers, rows, columns, (first, last, lane) -> {
            long scratch = lane.floats(columns);
            for (int r = (int) first; r < last; r++) {
                long at = (long) r * columns;
                long floats = out.target(at, scratch);
                Convert.widen(x.type(), x.at(at), floats, columns);
                grid.apply(r, 0, floats, columns);
                out.written(at, columns, scratch);
            }
        });
    }

    /// Delayed scales of `n` tensors with histories of `h`.
    static void delay(long scales, long history, long amax, int ranks, long largest, int n, int h) {
        for (int i = 0; i < n; i++) {
            float now = 0f;
            for (int r = 0; r < ranks; r++) {
                long at = amax + 4L * ((long) r * n + i);
                now = Math.max(now, Mem.getFloat(at));
                Mem.setFloat(at, 0f);
            }
            long line = history + 4L * i * h;
            float most = 0f;
            for (int j = h - 1; j >= 0; j--) {
                float value = j == 0 ? now : Mem.getFloat(line + 4L * (j - 1));
                Mem.setFloat(line + 4L * j, value);
                most = Float.isFinite(value) ? Math.max(most, value) : most;
            }
            if (most > 0f) {
                Mem.setFloat(scales + 4L * i, Math.max(most / Mem.getFloat(largest + 4L * i), Float.MIN_NORMAL));
            }
        }
    }
}
