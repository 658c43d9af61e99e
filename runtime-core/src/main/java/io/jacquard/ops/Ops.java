package io.jacquard.ops;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/// Every differentiable operation. Results are allocated in the current scope; wrong operands are an
/// `IllegalArgumentException` before anything is launched.
public final class Ops {
    private Ops() {}

    /// `a[..., k] · b[k, m]`.
    public static Tensor matmul(Tensor a, Tensor b) {
        return MatMul.of(a, b);
    }

    /// `x[..., i] · weight[o, i]ᵀ + bias[o]`; `bias` may be null.
    public static Tensor linear(Tensor x, Tensor weight, @Nullable Tensor bias) {
        return Linear.of(x, weight, bias);
    }

    /// GELU of [#linear], in one launch.
    public static Tensor linearGelu(Tensor x, Tensor weight, @Nullable Tensor bias) {
        return Linear.gelu(x, weight, bias);
    }

    public static Tensor add(Tensor x, Tensor y) {
        return Add.of(x, y);
    }

    /// Adds `row[c]` to every row of `x[..., c]`.
    public static Tensor addRow(Tensor x, Tensor row) {
        return AddRow.of(x, row);
    }

    public static Tensor mul(Tensor x, Tensor y) {
        return Mul.of(x, y);
    }

    public static Tensor scale(Tensor x, float factor) {
        return Scale.of(x, factor);
    }

    /// GELU, tanh form.
    public static Tensor gelu(Tensor x) {
        return Gelu.of(x);
    }

    /// `silu(gate) * up` of rows that hold gate then up: `[..., 2f]` to `[..., f]`.
    public static Tensor swiGlu(Tensor x) {
        return SwiGlu.of(x);
    }

    /// Inverted dropout with a mask that is a function of `seed`, `counters` (I32 {step, micro-batch}) and `site`.
    public static Tensor dropout(Tensor x, float p, long seed, Tensor counters, int site) {
        return Dropout.of(x, p, seed, counters, site);
    }

    /// LayerNorm of `x + residual` (of `x` when `residual` is null).
    public static Normed layerNorm(Tensor x, @Nullable Tensor residual, Tensor weight, Tensor bias, float epsilon) {
        return LayerNorm.of(x, residual, weight, bias, epsilon);
    }

    /// RMSNorm of `x + residual` (of `x` when `residual` is null).
    public static Normed rmsNorm(Tensor x, @Nullable Tensor residual, Tensor weight, float epsilon) {
        return RmsNorm.of(x, residual, weight, epsilon);
    }

    public static Tensor softmax(Tensor x) {
        return Softmax.of(x);
    }

    /// Rotary embedding of the first `heads` heads of each row of `x` `[B, T, W]`, **in place**: the old value is gone.
    public static Tensor rope(Tensor x, int heads, int headDim, float base) {
        return Rope.of(x, heads, headDim, base);
    }

    /// Causal attention of packed `qkv` `[B, T, (heads + 2 kvHeads) * headDim]`: `[B, T, heads * headDim]`.
    public static Tensor attention(Tensor qkv, int heads, int kvHeads) {
        return Attention.of(qkv, heads, kvHeads);
    }

    /// `table[ids] + positions[t]`; `positions` may be null.
    public static Tensor embedding(Tensor table, Tensor ids, @Nullable Tensor positions) {
        return Embedding.of(table, ids, positions);
    }

    /// `scale * sum of cross entropies`, F32 `[1]`; rows with a negative label do not count. **Overwrites the logits** with
    /// their gradient. `scale` is F32 `[1]`, usually 1 / valid tokens of the whole optimizer step.
    public static Tensor crossEntropy(Tensor logits, Tensor labels, Tensor scale) {
        return CrossEntropy.of(logits, labels, scale);
    }

    /// The cross entropy of each row, F32 `[n]`, without a gradient.
    public static Tensor tokenLosses(Tensor logits, Tensor labels) {
        return CrossEntropy.losses(logits, labels);
    }

    public static Tensor cast(Tensor x, DType to) {
        return Cast.of(x, to);
    }

    public static Tensor reshape(Tensor x, Shape to) {
        return Reshape.of(x, to);
    }

    /// Dimension i of the result is dimension `order[i]` of `x`.
    public static Tensor permute(Tensor x, int... order) {
        return Permute.of(x, order);
    }

    public static Tensor narrow(Tensor x, int dim, int start, int length) {
        return Narrow.of(x, dim, start, length);
    }

    public static Tensor concat(int dim, Tensor... parts) {
        return Concat.of(dim, List.of(parts));
    }

    /// The sum of all elements, F32 `[1]`.
    public static Tensor sum(Tensor x) {
        return Sum.of(x);
    }

    /// `block(x)` that keeps none of its activations and runs again in backward.
    public static Tensor recompute(UnaryOperator<Tensor> block, Tensor x) {
        return Recompute.of(block, x);
    }
}
