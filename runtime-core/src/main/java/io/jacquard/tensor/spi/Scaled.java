package io.jacquard.tensor.spi;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// A matrix in low precision: element (i, j) of `values` `[r, c]` stands for `(value - zero) * scale`, scale and zero
/// being those of its block.
///
/// @param values [DType#F8E4M3], [DType#F8E5M2], [DType#I8] or [DType#I4], with an even number of I4 in a row
/// @param scales F32, one for each block, row-major: [Blocks#of] `values`
/// @param zeros I8, one for each block; null: all are 0
/// @param blocks what shares a scale
public record Scaled(Tensor values, Tensor scales, @Nullable Tensor zeros, Blocks blocks) {
    /// What shares a scale: `rows` rows by `columns` columns, fewer at the ends.
    public record Blocks(int rows, int columns) {
        private static final int ALL = Integer.MAX_VALUE;

        /// The whole matrix.
        public static final Blocks WHOLE = new Blocks(ALL, ALL);

        /// Each row.
        public static final Blocks ROWS = new Blocks(1, ALL);

        /// 128 neighbours of a row (DeepSeek-V3, arXiv:2412.19437, section 3.3.2: activations).
        public static final Blocks LINES = new Blocks(1, 128);

        /// 128 by 128 (ibid.: weights).
        public static final Blocks SQUARES = new Blocks(128, 128);

        /// Groups of `size` neighbours of a row.
        public static Blocks groups(int size) {
            return new Blocks(1, size);
        }

        /// The shape of the scales of a matrix of this shape: `[ceil(r / rows), ceil(c / columns)]`.
        public Shape of(Shape matrix) {
            return Shape.of(down(Math.toIntExact(matrix.rows())), across(matrix.last()));
        }

        /// How many blocks `r` rows have.
        public int down(int r) {
            return rows == ALL ? 1 : Math.ceilDiv(r, rows);
        }

        /// How many blocks `c` columns have.
        public int across(int c) {
            return columns == ALL ? 1 : Math.ceilDiv(c, columns);
        }

        /// Whether the whole matrix has one scale.
        public boolean isWhole() {
            return equals(WHOLE);
        }
    }

    /// Without zeros.
    public Scaled(Tensor values, Tensor scales, Blocks blocks) {
        this(values, scales, null, blocks);
    }

    /// Memory for a matrix of `rows` by `columns`, in the current scope.
    public static Scaled empty(int rows, int columns, DType type, Blocks blocks) {
        Shape shape = Shape.of(rows, columns);
        return new Scaled(Tensor.empty(shape, type), Tensor.empty(blocks.of(shape), DType.F32), blocks);
    }

    /// Rows of the matrix; leading dimensions are rows.
    public int rows() {
        return Math.toIntExact(values.shape().rows());
    }

    /// Columns of the matrix.
    public int columns() {
        return values.shape().last();
    }

    /// The type of the values.
    public DType type() {
        return values.dtype();
    }

    /// Bytes of values, scales and zeros.
    public long bytes() {
        return values.bytes() + scales.bytes() + (zeros == null ? 0 : zeros.bytes());
    }
}
