package io.jacquard.quantize;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Scaled;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// A matrix of four-bit integers in groups of a row, in host memory: element (r, c) stands for
/// `(values[r * columns + c] - zero) * scale`, zero and scale being those of its group, `r * groups() + c / group`.
///
/// @param values -8 to 7, row-major
/// @param scales one for each group
/// @param zeros -8 to 7, one for each group; null: all are 0
public record Int4Matrix(int rows, int columns, int group, byte[] values, float[] scales, byte @Nullable [] zeros)
        implements RoundedWeight {
    /// The least value.
    public static final int LEAST = -8;

    /// The largest value.
    public static final int LARGEST = 7;

    /// @throws IllegalArgumentException if the sizes do not fit, or groups do not divide the rows
    public Int4Matrix {
        if (group < 1 || columns % group != 0) {
            throw new IllegalArgumentException(
                    "int4: rows of " + columns + " do not divide into groups of " + group + "; expected a divisor");
        }
        int groups = rows * (columns / group);
        if (values.length != rows * columns || scales.length != groups || zeros != null && zeros.length != groups) {
            throw new IllegalArgumentException("int4: " + values.length + " values and " + scales.length
                    + " scales for [" + rows + ", " + columns + "] in groups of " + group);
        }
    }

    /// Empty, to be filled.
    static Int4Matrix empty(int rows, int columns, int group, boolean symmetric) {
        int groups = group < 1 ? 0 : rows * (columns / group);
        return new Int4Matrix(
                rows, columns, group, new byte[rows * columns], new float[groups], symmetric ? null : new byte[groups]);
    }

    /// Groups of a row.
    public int groups() {
        return columns / group;
    }

    /// What element `column` of row `row` stands for.
    float at(int row, int column) {
        int g = row * groups() + column / group;
        return (values[row * columns + column] - (zeros == null ? 0 : zeros[g])) * scales[g];
    }

    @Override
    public float[] dequantized() {
        float[] w = new float[rows * columns];
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                w[r * columns + c] = at(r, c);
            }
        }
        return w;
    }

    /// The rows of all of them, one after another; of the same columns and groups, all with zeros or all without.
    ///
    /// @throws IllegalArgumentException if they are not
    public static Int4Matrix joined(List<Int4Matrix> parts) {
        Int4Matrix first = parts.getFirst();
        ByteArrayOutputStream values = new ByteArrayOutputStream();
        ByteArrayOutputStream zeros = new ByteArrayOutputStream();
        float[] scales = new float[0];
        int rows = 0;
        for (Int4Matrix p : parts) {
            if (p.columns != first.columns || p.group != first.group || (p.zeros == null) != (first.zeros == null)) {
                throw new IllegalArgumentException("int4: matrices of groups of " + first.group + " and of " + p.group
                        + ", or with zeros and without, do not join");
            }
            rows += p.rows;
            values.writeBytes(p.values);
            if (p.zeros != null) {
                zeros.writeBytes(p.zeros);
            }
            int before = scales.length;
            scales = Arrays.copyOf(scales, before + p.scales.length);
            System.arraycopy(p.scales, 0, scales, before, p.scales.length);
        }
        return new Int4Matrix(
                rows,
                first.columns,
                first.group,
                values.toByteArray(),
                scales,
                first.zeros == null ? null : zeros.toByteArray());
    }

    /// A copy on the device, in the current scope.
    ///
    /// @throws IllegalArgumentException if rows are of an odd number of elements
    public Scaled toDevice() {
        if (columns % 2 != 0) {
            throw new IllegalArgumentException(
                    "int4: rows of " + columns + " elements, of which two share a byte; expected an even number");
        }
        byte[] packed = new byte[values.length / 2];
        for (int i = 0; i < packed.length; i++) {
            packed[i] = (byte) (values[2 * i] & 15 | values[2 * i + 1] << 4);
        }
        Tensor v = Tensor.empty(Shape.of(rows, columns), DType.I4);
        v.copyFrom(MemorySegment.ofArray(packed));
        Shape groups = Shape.of(rows, groups());
        Tensor z = null;
        if (zeros != null) {
            z = Tensor.empty(groups, DType.I8);
            z.copyFrom(MemorySegment.ofArray(zeros));
        }
        return new Scaled(v, Tensor.of(groups, scales), z, Scaled.Blocks.groups(group));
    }

    /// Sets the scale, and the zero if there are any, of a group to those of the range of `w`, `group` elements
    /// from `from` on: symmetric by the largest magnitude, which becomes 7, or else by least and largest, 0 among
    /// them.
    void range(int row, int groupOfRow, double[] w, int from) {
        double least = 0;
        double largest = 0;
        for (int i = from; i < from + group; i++) {
            least = Math.min(least, w[i]);
            largest = Math.max(largest, w[i]);
        }
        int g = row * groups() + groupOfRow;
        double scale = zeros == null ? Math.max(-least, largest) / LARGEST : (largest - least) / (LARGEST - LEAST);
        scales[g] = scale < Float.MIN_NORMAL ? 1f : (float) scale;
        if (zeros != null) {
            zeros[g] = (byte) Math.clamp(Math.round(LEAST - least / scales[g]), LEAST, LARGEST);
        }
    }

    /// Rounds `w` to the nearest value of its group.
    void round(int row, int column, double w) {
        int g = row * groups() + column / group;
        values[row * columns + column] = value(g, Math.rint(w / scales[g]));
    }

    /// The value of `steps` scales from 0, as near as there is one.
    byte value(int g, double steps) {
        return (byte) Math.clamp(steps + (zeros == null ? 0 : zeros[g]), LEAST, LARGEST);
    }
}
