package io.jacquard.quantize;

import io.jacquard.nn.Parameter;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Scaled;
import java.lang.foreign.MemorySegment;
import java.util.Map;

/// A matrix of [DType#F8E4M3] with a scale for each row, in host memory: the bits that `Recipe.FP8_ROWWISE` multiplies.
///
/// @param values row-major
/// @param scales one for each row
public record Float8Matrix(int rows, int columns, byte[] values, float[] scales) implements RoundedWeight {
    /// Each weight to the nearest value.
    public static final Rounding ROUNDING = new Rounding() {
        @Override
        public String label() {
            return "fp8";
        }

        @Override
        public boolean needsData() {
            return false;
        }

        @Override
        public void check(Parameter p) {}

        @Override
        public Float8Matrix round(float[] w, int rows, int columns, float[] h) {
            return of(w, rows, columns);
        }

        @Override
        public double bitsPerWeight(int columns) {
            return 8 + 32.0 / columns;
        }

        @Override
        public Map<String, Object> json() {
            return Map.of("method", label());
        }
    };

    /// @throws IllegalArgumentException if the sizes do not fit
    public Float8Matrix {
        if (values.length != rows * columns || scales.length != rows) {
            throw new IllegalArgumentException("fp8: " + values.length + " values and " + scales.length
                    + " scales for [" + rows + ", " + columns + "]");
        }
    }

    private static Float8Matrix of(float[] w, int rows, int columns) {
        try (var _ = Scope.openWithoutGrad("weight in 8 bits")) {
            Tensor exact = Tensor.of(Shape.of(rows, columns), w);
            Scaled s = Scaled.empty(rows, columns, DType.F8E4M3, Scaled.Blocks.ROWS);
            exact.kernels().quantize(s, null, exact);
            byte[] values = new byte[w.length];
            s.values().copyTo(MemorySegment.ofArray(values));
            return new Float8Matrix(rows, columns, values, s.scales().toFloats());
        }
    }

    @Override
    public float[] dequantized() {
        try (var _ = Scope.openWithoutGrad("weight of 8 bits")) {
            Shape shape = Shape.of(rows, columns);
            Tensor bits = Tensor.empty(shape, DType.F8E4M3);
            bits.copyFrom(MemorySegment.ofArray(values));
            Scaled s = new Scaled(bits, Tensor.of(Shape.of(rows, 1), scales), Scaled.Blocks.ROWS);
            Tensor out = Tensor.empty(shape, DType.F32);
            out.kernels().dequantize(out, s);
            return out.toFloats();
        }
    }
}
