package io.jacquard.tensor.spi;

import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// What a kernel makes of its result for a matrix product of low precision, while it has the elements at hand. To the
/// bit what [Kernels#absMax] and [Kernels#quantize] make of the result afterwards, which is read for neither: elements
/// are rounded to the result's dtype first.
///
/// @param straight 8 bits of each element, with the one scale of the whole, given; null: not wanted
/// @param transposed the same of the transposed matrix, and of one type where both are wanted; null: not wanted
/// @param amax F32 `[1]`, raised to the largest magnitude; null: not wanted
public record Casts(
        @Nullable Scaled straight,
        @Nullable Scaled transposed,
        @Nullable Tensor amax) {
    public static final Casts NONE = new Casts(null, null, null);

    /// The largest magnitude alone.
    public static Casts amax(Tensor amax) {
        return new Casts(null, null, amax);
    }

    /// Whether nothing is wanted.
    public boolean isNone() {
        return straight == null && transposed == null && amax == null;
    }
}
