package io.jacquard.nn;

import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// A named weight: declared by a layer, given memory by [Weights#allocate].
public final class Parameter {
    private final String name;
    private final Shape logicalShape;
    private final Slice slice;
    private final Shape shape;
    private final Init init;
    private @Nullable Tensor value;

    Parameter(String name, Shape logicalShape, Slice slice, Init init) {
        this.name = name;
        this.logicalShape = logicalShape;
        this.slice = slice;
        this.shape = slice.of(logicalShape);
        this.init = init;
    }

    /// The full path, such as `transformer.h.3.attn.c_attn.weight`.
    public String name() {
        return name;
    }

    /// The shape of value and gradient: of the part that this rank holds.
    public Shape shape() {
        return shape;
    }

    /// The shape of the whole parameter, of which the ranks of a tensor group hold slices.
    public Shape logicalShape() {
        return logicalShape;
    }

    /// Which part of the whole this rank holds.
    public Slice slice() {
        return slice;
    }

    Init init() {
        return init;
    }

    /// Matrices decay, vectors (biases, norm weights) do not: the usual weight-decay groups.
    public boolean decays() {
        return shape.rank() >= 2;
    }

    void bind(Tensor value) {
        this.value = value;
    }

    /// The value, a leaf whose gradient goes to this parameter's part of the flat gradient.
    ///
    /// @throws IllegalStateException before [Weights#allocate]
    public Tensor value() {
        if (value == null) {
            throw new IllegalStateException(
                    "parameter '" + name + "' has no memory yet; call Weights.allocate() after building the model");
        }
        return value;
    }

    /// This parameter's part of the flat gradient: what backward wrote since the last optimizer step, before
    /// clipping.
    ///
    /// @throws IllegalStateException before [Weights#allocate]
    public Tensor gradient() {
        Tensor.Sink sink = value().sink();
        if (sink == null) {
            throw new AssertionError("parameter '" + name + "' has no sink");
        }
        return sink.gradient();
    }

    @Override
    public String toString() {
        return "'" + name + "' " + shape;
    }
}
