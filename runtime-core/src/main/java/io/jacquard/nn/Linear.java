package io.jacquard.nn;

import io.jacquard.ops.Ops;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// `y = x · weightᵀ + bias`, weight `[out, in]`, declared as `weight` and `bias`.
public final class Linear {
    private final Parameter weight;
    private final @Nullable Parameter bias;

    private Linear(Parameter weight, @Nullable Parameter bias) {
        this.weight = weight;
        this.bias = bias;
    }

    /// Declares both below the path of `w`: normal weights of this standard deviation, a bias of zeros.
    public static Linear withBias(Weights w, int in, int out, double deviation) {
        return new Linear(
                w.declare("weight", Shape.of(out, in), Init.normal(deviation)),
                w.declare("bias", Shape.of(out), Init.ZEROS));
    }

    /// Declares the weight alone below the path of `w`: normal numbers of this standard deviation.
    public static Linear withoutBias(Weights w, int in, int out, double deviation) {
        return new Linear(w.declare("weight", Shape.of(out, in), Init.normal(deviation)), null);
    }

    /// `[..., in]` to `[..., out]`.
    public Tensor apply(Tensor x) {
        return Ops.linear(x, weight.value(), bias == null ? null : bias.value());
    }

    /// [#apply], then GELU.
    public Tensor gelu(Tensor x) {
        return Ops.linearGelu(x, weight.value(), bias == null ? null : bias.value());
    }
}
