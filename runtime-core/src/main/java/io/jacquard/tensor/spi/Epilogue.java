package io.jacquard.tensor.spi;

import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// What a matrix product does to its result before it leaves the cache: `pre = acc + bias[n]`, then
/// `out = gelu(pre)` if `preActivation` is not null (which receives `pre`, for the gradient), else `out = pre`. The
/// GELU is that of [Kernels#gelu] over the rounded `pre`, to the bit: a recomputed block runs the pair.
public record Epilogue(@Nullable Tensor bias, @Nullable Tensor preActivation) {
    public static final Epilogue NONE = new Epilogue(null, null);

    /// Adds `bias` `[n]`, or does nothing when it is null.
    public static Epilogue bias(@Nullable Tensor bias) {
        return bias == null ? NONE : new Epilogue(bias, null);
    }

    /// Adds `bias` `[n]` if not null, stores the sum into `preActivation` and puts out its GELU.
    public static Epilogue gelu(@Nullable Tensor bias, Tensor preActivation) {
        return new Epilogue(bias, preActivation);
    }
}
