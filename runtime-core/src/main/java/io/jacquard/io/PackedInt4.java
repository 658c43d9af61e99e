package io.jacquard.io;

import io.jacquard.quantize.Int4Matrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;

/// Four-bit weights as `compressed-tensors` packs them (`pack-quantized`): in place of `NAME` the tensors
/// `NAME_packed`, eight values to an I32 along the rows, the first in the lowest bits and each plus 8; `NAME_scale`;
/// `NAME_zero_point`, packed in the same way along the columns, unless all are 0; and `NAME_shape`.
final class PackedInt4 {
    private static final int PER_INT = 8;
    private static final int OFFSET = 8;

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private PackedInt4() {}

    /// The names under which a weight is kept.
    static List<String> names(String name) {
        return List.of(name + "_packed", name + "_scale", name + "_zero_point", name + "_shape");
    }

    static boolean has(ModelDirectory files, String name) {
        return files.find(name + "_packed") != null;
    }

    /// Adds rows `from` to `to` of a matrix to a file.
    static void add(SafetensorsWriter writer, String name, Int4Matrix q, int from, int to) {
        int rows = to - from;
        int packed = Math.ceilDiv(q.columns(), PER_INT);
        int[] values = new int[rows * packed];
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < q.columns(); c++) {
                int v = q.values()[(from + r) * q.columns() + c] + OFFSET;
                values[r * packed + c / PER_INT] |= v << 4 * (c % PER_INT);
            }
        }
        writer.add(name + "_packed", SafetensorsType.I32, dims(rows, packed), MemorySegment.ofArray(values));
        int groups = q.groups();
        float[] scales = Arrays.copyOfRange(q.scales(), from * groups, to * groups);
        writer.add(name + "_scale", SafetensorsType.F32, dims(rows, groups), MemorySegment.ofArray(scales));
        byte[] zeros = q.zeros();
        if (zeros != null) {
            int packedRows = Math.ceilDiv(rows, PER_INT);
            int[] points = new int[packedRows * groups];
            for (int r = 0; r < rows; r++) {
                for (int g = 0; g < groups; g++) {
                    int v = zeros[(from + r) * groups + g] + OFFSET;
                    points[r / PER_INT * groups + g] |= v << 4 * (r % PER_INT);
                }
            }
            writer.add(
                    name + "_zero_point", SafetensorsType.I32, dims(packedRows, groups), MemorySegment.ofArray(points));
        }
        long[] shape = {rows, q.columns()};
        writer.add(name + "_shape", SafetensorsType.I64, List.of(2L), MemorySegment.ofArray(shape));
    }

    private static List<Long> dims(long rows, long columns) {
        return List.of(rows, columns);
    }

    /// The matrix of this name, of so many rows and columns.
    ///
    /// @throws IllegalArgumentException if the tensors do not fit together
    static Int4Matrix read(ModelDirectory files, String name, int rows, int columns) {
        int packed = Math.ceilDiv(columns, PER_INT);
        MemorySegment values = data(files, name + "_packed", SafetensorsType.I32, rows, packed);
        SafetensorsEntry scale = files.find(name + "_scale");
        if (scale == null || scale.shape().size() != 2 || scale.shape().getLast() < 1) {
            throw new IllegalArgumentException("tensor '" + name + "_scale' is " + (scale == null ? "missing" : scale)
                    + "; expected [rows, groups]");
        }
        int groups = Math.toIntExact(scale.shape().getLast());
        data(files, scale.name(), scale.type(), rows, groups); // checks the shape
        float[] scales = floats(files, scale);
        byte[] zeros = files.find(name + "_zero_point") == null ? null : new byte[rows * groups];
        if (zeros != null) {
            int packedRows = Math.ceilDiv(rows, PER_INT);
            MemorySegment points = data(files, name + "_zero_point", SafetensorsType.I32, packedRows, groups);
            for (int i = 0; i < zeros.length; i++) {
                int r = i / groups;
                zeros[i] = value(points, (long) r / PER_INT * groups + i % groups, r % PER_INT);
            }
        }
        byte[] unpacked = new byte[rows * columns];
        for (int i = 0; i < unpacked.length; i++) {
            int c = i % columns;
            unpacked[i] = value(values, (long) i / columns * packed + c / PER_INT, c % PER_INT);
        }
        return new Int4Matrix(rows, columns, columns / groups, unpacked, scales, zeros);
    }

    private static byte value(MemorySegment packed, long index, int place) {
        return (byte) ((packed.getAtIndex(INT, index) >>> 4 * place & 15) - OFFSET);
    }

    private static MemorySegment data(
            ModelDirectory files, String name, SafetensorsType type, long rows, long columns) {
        SafetensorsEntry entry = files.find(name);
        if (entry == null || entry.type() != type || !entry.shape().equals(dims(rows, columns))) {
            throw new IllegalArgumentException("tensor '" + name + "' is "
                    + (entry == null ? "missing" : entry.type() + " " + entry.shape()) + "; expected " + type + " ["
                    + rows + ", " + columns + "]");
        }
        return files.data(name);
    }

    /// The elements of a tensor of floats.
    ///
    /// @throws IllegalArgumentException if it is of another type
    static float[] floats(ModelDirectory files, SafetensorsEntry entry) {
        MemorySegment data = files.data(entry.name());
        float[] floats = new float[Math.toIntExact(entry.elements())];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = switch (entry.type()) {
                case F32 -> data.getAtIndex(FLOAT, i);
                case BF16 -> Float.intBitsToFloat(data.getAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, i) << 16);
                case F16 -> Float.float16ToFloat(data.getAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, i));
                default ->
                    throw new IllegalArgumentException(
                            "tensor '" + entry.name() + "' is " + entry.type() + "; expected F32, BF16 or F16");
            };
        }
        return floats;
    }
}
