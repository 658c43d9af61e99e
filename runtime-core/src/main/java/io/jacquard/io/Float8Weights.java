package io.jacquard.io;

import io.jacquard.quantize.Float8Matrix;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Scaled;
import io.jacquard.tensor.spi.Scaled.Blocks;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;

/// Weights of 8-bit floats: `NAME` itself is F8_E4M3, and beside it lie its scales. In `compressed-tensors`
/// (`float-quantized`) these are `NAME_scale`, `[rows, 1]` or one for all; in DeepSeek-V3's `fp8` `NAME_scale_inv`, one
/// for 128 x 128, which multiplies, too.
final class Float8Weights {
    private static final String SCALE = "_scale";
    private static final String SQUARES = "_scale_inv";

    private Float8Weights() {}

    /// The names under which a weight is kept.
    static List<String> names(String name) {
        return List.of(name, name + SCALE, name + SQUARES);
    }

    static boolean has(ModelDirectory files, String name) {
        SafetensorsEntry entry = files.find(name);
        return entry != null && entry.type() == SafetensorsType.F8_E4M3;
    }

    /// Adds rows `from` to `to` of a matrix to a file.
    static void add(SafetensorsWriter writer, String name, Float8Matrix q, int from, int to) {
        long rows = (long) to - from;
        MemorySegment values = MemorySegment.ofArray(q.values()).asSlice((long) from * q.columns(), rows * q.columns());
        writer.add(name, SafetensorsType.F8_E4M3, List.of(rows, (long) q.columns()), values);
        float[] scales = Arrays.copyOfRange(q.scales(), from, to);
        writer.add(name + SCALE, SafetensorsType.F32, List.of(rows, 1L), MemorySegment.ofArray(scales));
    }

    /// The matrix of this name, of so many rows and columns, in the current scope.
    ///
    /// @throws IllegalArgumentException if the tensors do not fit together
    static Scaled read(ModelDirectory files, String name, int rows, int columns) {
        SafetensorsEntry entry = files.find(name);
        Shape shape = Shape.of(rows, columns);
        if (entry == null || !entry.shape().equals(DecoderFiles.dims(shape))) {
            throw new IllegalArgumentException("tensor '" + name + "' is "
                    + (entry == null ? "missing" : entry.type() + " " + entry.shape()) + "; expected F8_E4M3 " + shape);
        }
        Tensor values = Tensor.empty(shape, DType.F8E4M3);
        values.copyFrom(files.data(name));
        SafetensorsEntry squares = files.find(name + SQUARES);
        SafetensorsEntry scale = squares == null ? files.find(name + SCALE) : squares;
        if (scale == null) {
            throw new IllegalArgumentException("tensor '" + name + "' is F8_E4M3 and has no scale; expected '" + name
                    + SCALE + "' or '" + name + SQUARES + "'");
        }
        Blocks blocks = squares != null ? Blocks.SQUARES : scale.elements() == 1 ? Blocks.WHOLE : Blocks.ROWS;
        Shape expected = blocks.of(shape);
        List<Long> dims = DecoderFiles.dims(expected);
        boolean fits = squares != null
                ? scale.shape().equals(dims)
                : withoutOnes(scale.shape()).equals(withoutOnes(dims));
        if (!fits) {
            throw new IllegalArgumentException("tensor '" + scale.name() + "' is " + scale.type() + " " + scale.shape()
                    + "; expected " + expected + " for '" + name + "' " + shape);
        }
        float[] scales = PackedInt4.floats(files, scale);
        return new Scaled(values, Tensor.of(expected, scales), blocks);
    }

    /// A matrix of one column may be a vector, and one number a scalar.
    private static List<Long> withoutOnes(List<Long> dims) {
        return dims.stream().filter(d -> d != 1).toList();
    }
}
