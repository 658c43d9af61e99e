package io.jacquard.quantize;

/// A weight `[rows, columns]` in few bits, in host memory.
public sealed interface RoundedWeight permits Int4Matrix, Float8Matrix {
    /// Outputs of the layer.
    int rows();

    /// Inputs of the layer.
    int columns();

    /// What the elements stand for, row-major.
    float[] dequantized();
}
