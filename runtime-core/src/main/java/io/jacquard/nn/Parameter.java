package io.jacquard.nn;

import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Scaled;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// A named weight: declared by a layer, given memory by [Weights#allocate].
public final class Parameter {
    private final String name;
    private final Shape logicalShape;
    private final List<Slice> slices;
    private final Slice slice;
    private final Shape shape;
    private final Init init;
    private @Nullable Tensor value;
    private @Nullable Scaled frozen;

    Parameter(String name, Shape logicalShape, List<Slice> slices, int mine, Init init) {
        this.name = name;
        this.logicalShape = logicalShape;
        this.slices = List.copyOf(slices);
        this.slice = slices.get(mine);
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

    /// What the ranks of the tensor group hold, by rank; a single one where the parameter is not divided.
    public List<Slice> slices() {
        return slices;
    }

    /// Copies to `here`, of [#shape], this rank's part of `whole`, of [#logicalShape] and the same dtype.
    public void take(Tensor here, Tensor whole) {
        int dim = slice.dim();
        long[] from = strides(logicalShape);
        long[] to = strides(shape);
        int at = 0;
        for (Slice.Range r : slice.ranges()) {
            int[] sizes = shape.toArray();
            sizes[dim] = r.length();
            here.kernels().copy(here, at * to[dim], to, whole, r.from() * from[dim], from, sizes, 0f);
            at += r.length();
        }
    }

    private static long[] strides(Shape s) {
        long[] strides = new long[s.rank()];
        long n = 1;
        for (int i = s.rank() - 1; i >= 0; i--) {
            strides[i] = n;
            n *= s.dim(i);
        }
        return strides;
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
        return sink().gradient();
    }

    /// The low-precision value of one of [Weights#frozen].
    ///
    /// @throws IllegalStateException before [#freeze]
    public Scaled frozen() {
        if (frozen == null) {
            throw new IllegalStateException(
                    "parameter '" + name + "' has no frozen value; load one, it cannot be initialised");
        }
        return frozen;
    }

    /// Gives one of [Weights#frozen] its value, of [#shape].
    public void freeze(Scaled value) {
        frozen = value;
    }

    Tensor.Sink sink() {
        Tensor.Sink sink = value().sink();
        if (sink == null) {
            throw new AssertionError("parameter '" + name + "' has no sink");
        }
        return sink;
    }

    @Override
    public String toString() {
        return "'" + name + "' " + shape;
    }
}
