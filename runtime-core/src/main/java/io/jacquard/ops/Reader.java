package io.jacquard.ops;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Casts;
import io.jacquard.tensor.spi.Scaled;
import io.jacquard.tensor.spi.Scaled.Blocks;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The linear layer that alone reads a tensor, for the operation that makes it: that does what it can of the layer's
/// rounding while it has the elements at hand, instead of writing them for the layer to read again.
///
/// | the layer's scales | known | what the operation makes |
/// | --- | --- | --- |
/// | of steps before | beforehand | both copies and the largest magnitude; the elements are never written |
/// | of the whole tensor | after its last element | the largest magnitude; the layer reads the elements once, to round
/// them |
/// | of parts | | nothing: the parts of the transposed copy are columns, and no row of the result has a whole one |
///
/// @param delayed the layer's scales of steps before; null where the recipe has none
/// @param weight the layer's
public record Reader(Recipe recipe, DelayedScales.@Nullable Layer delayed, Tensor weight) {
    /// Memory for the result of an operation with these inputs, with the casts that its kernel is to make for
    /// `reader`, null being anybody; or the casts alone, where they are all of the result.
    static Tensor result(@Nullable Reader reader, Shape shape, DType dtype, List<Tensor> inputs) {
        if (reader == null) {
            return Tensor.empty(shape, dtype);
        }
        boolean trains = Tensor.records(List.of(reader.weight));
        Casts casts = casts(
                reader.recipe,
                reader.recipe.forward(),
                reader.delayed == null ? null : reader.delayed.input(),
                shape,
                true,
                trains,
                trains || Tensor.records(inputs));
        return casts.straight() == null ? Tensor.empty(shape, dtype).with(casts) : Tensor.onlyAs(casts, shape, dtype);
    }

    /// What of a [#result] the kernel writes beside its casts; null where these are all.
    static @Nullable Tensor memory(Tensor result) {
        return result.casts().straight() == null ? result : null;
    }

    /// Whether the scales are there before the elements.
    boolean knowsScales() {
        return delayed != null && delayed.input().isSettled();
    }

    /// What a kernel can make of a result of this shape, in memory of its own: copies of `type`, as far as they are
    /// wanted, or the largest magnitude, or nothing.
    ///
    /// @param counts whether `site` takes notice
    static Casts casts(
            Recipe recipe,
            DType type,
            DelayedScales.@Nullable Site site,
            Shape shape,
            boolean straight,
            boolean transposed,
            boolean counts) {
        if (!recipe.activations().isWhole() || LinearWatch.isWatching()) {
            return Casts.NONE;
        }
        if (site == null) {
            return Casts.amax(Tensor.zeros(Shape.of(1), DType.F32));
        }
        if (!site.isSettled()) {
            return Casts.NONE;
        }
        int rows = Math.toIntExact(shape.rows());
        return new Casts(
                straight ? copy(type, site, rows, shape.last()) : null,
                transposed ? copy(type, site, shape.last(), rows) : null,
                counts ? site.amax() : null);
    }

    private static Scaled copy(DType type, DelayedScales.Site site, int rows, int columns) {
        return new Scaled(Tensor.empty(Shape.of(rows, columns), type), site.matrixScale(), Blocks.WHOLE);
    }
}
