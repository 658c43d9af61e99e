package io.jacquard.ops;

import io.jacquard.group.Group;
import io.jacquard.group.SoloGroup;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Scaled;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/// Every differentiable operation. Floating operands of one call have one dtype, which is the result's unless said
/// otherwise; nothing is promoted or broadcast. Shapes are written as `[B, T, C]`, `...` being any leading dimensions.
///
/// Wrong operands are an `IllegalArgumentException` before anything is launched. No operation waits for the device.
///
/// **Memory**: the result is a new tensor of the current scope, except for [#reshape], [#rope], [#afterBackward],
/// [#beforeBackward], [#copyToGroup] and [#allReduce], which are handles on their operand's memory, and where an
/// operation has nothing to do ([#cast] to the same dtype, [#reshape] to the same shape, [#dropout] with p 0, any of a
/// group of one).
///
/// **Thread**: the thread of the operands' session.
public final class Ops {
    private static final Group ALONE = new SoloGroup();

    private Ops() {}

    /// The matrix product `a[..., k] · b[k, m]`: `[..., m]`.
    public static Tensor matmul(Tensor a, Tensor b) {
        return MatMul.of(a, b);
    }

    /// `x[..., i] · weight[o, i]ᵀ + bias[o]`: `[..., o]`; `bias` may be null.
    public static Tensor linear(Tensor x, Tensor weight, @Nullable Tensor bias) {
        return Linear.of(x, weight, bias);
    }

    /// GELU (tanh form) of [#linear], in one launch.
    ///
    /// **Memory**: a second tensor as large as the result, the argument of the GELU, until backward has run; none
    /// where no gradient is recorded.
    public static Tensor linearGelu(Tensor x, Tensor weight, @Nullable Tensor bias) {
        return Linear.gelu(x, weight, bias);
    }

    /// [#linear], or where `gelu` [#linearGelu], whose products are those of a scaled `recipe`; `delayed` has its
    /// scales where these are of steps before. 8-bit products on a device want sizes that are multiples of 16.
    ///
    /// **Memory**: a transposed 8-bit copy of `x` and of the weight until backward has run.
    ///
    /// @throws IllegalArgumentException if the recipe is not scaled, or lacks its scales
    public static Tensor linear(
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            boolean gelu,
            Recipe recipe,
            DelayedScales.@Nullable Layer delayed) {
        return linear(x, weight, bias, gelu, recipe, delayed, null);
    }

    /// The same for `reader`, the layer that alone reads the result.
    public static Tensor linear(
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            boolean gelu,
            Recipe recipe,
            DelayedScales.@Nullable Layer delayed,
            @Nullable Reader reader) {
        if (!recipe.isScaled() || recipe.isDelayed() != (delayed != null)) {
            throw new IllegalArgumentException("linear: recipe " + recipe.label()
                    + (recipe.isScaled() ? delayed == null ? " needs" : " has no use for" : " is not a scaled one;")
                    + (recipe.isScaled() ? " delayed scales" : " use linear, fakeQuantize or frozenLinear"));
        }
        return ScaledLinear.of(x, weight, bias, gelu, recipe, delayed, reader);
    }

    /// `x[..., i] · weight[o, i]ᵀ + bias[o]` with a weight of I4 or I8 in groups of a row, which gets no gradient.
    public static Tensor frozenLinear(Tensor x, Scaled weight, @Nullable Tensor bias) {
        return FrozenLinear.of(x, weight, bias);
    }

    /// The matrix `x` rounded to `type` and back, by scales of `blocks`, not of the whole; its gradient is that of
    /// `x`.
    public static Tensor fakeQuantize(Tensor x, DType type, Scaled.Blocks blocks) {
        return FakeQuantize.of(x, type, blocks);
    }

    /// `x + y`, of one shape.
    public static Tensor add(Tensor x, Tensor y) {
        return Add.of(x, y);
    }

    /// Adds `row[c]` to every row of `x[..., c]`.
    public static Tensor addRow(Tensor x, Tensor row) {
        return AddRow.of(x, row);
    }

    /// `x * y`, element by element, of one shape.
    public static Tensor mul(Tensor x, Tensor y) {
        return Mul.of(x, y);
    }

    /// `factor * x`. Capture freezes `factor`.
    public static Tensor scale(Tensor x, float factor) {
        return Scale.of(x, factor);
    }

    /// GELU, tanh form: `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
    public static Tensor gelu(Tensor x) {
        return Gelu.of(x);
    }

    /// `silu(gate) * up` of rows that hold gate then up: `[..., 2f]` to `[..., f]`.
    public static Tensor swiGlu(Tensor x) {
        return SwiGlu.of(x, null);
    }

    /// [#swiGlu] for `reader`, the layer that alone reads the result.
    public static Tensor swiGlu(Tensor x, @Nullable Reader reader) {
        return SwiGlu.of(x, reader);
    }

    /// Inverted dropout with a mask that is a function of `seed`, `counters` (I32 `[2]` {step, micro-batch}),
    /// `site` and the element's index: nothing is stored. What is kept is multiplied by `1 / (1 - p)`; `p` is in
    /// [0, 1).
    public static Tensor dropout(Tensor x, float p, long seed, Tensor counters, int site) {
        return Dropout.of(x, p, seed, counters, site, 0);
    }

    /// [#dropout] of a part of a tensor, with the part of its mask: the first element of `x` is element `first` of
    /// the whole. A multiple of 4, which ranks that divide rows always have, is faster.
    public static Tensor dropout(Tensor x, float p, long seed, Tensor counters, int site, long first) {
        return Dropout.of(x, p, seed, counters, site, first);
    }

    /// LayerNorm over the last dimension of `x + residual` (of `x` when `residual` is null), both `[..., C]`;
    /// `weight` and `bias` are `[C]`.
    public static Normed layerNorm(Tensor x, @Nullable Tensor residual, Tensor weight, Tensor bias, float epsilon) {
        return LayerNorm.of(x, residual, weight, bias, epsilon, null);
    }

    /// [#layerNorm] for `reader`, the layer that alone reads the normed value.
    public static Normed layerNorm(
            Tensor x, @Nullable Tensor residual, Tensor weight, Tensor bias, float epsilon, @Nullable Reader reader) {
        return LayerNorm.of(x, residual, weight, bias, epsilon, reader);
    }

    /// RMSNorm over the last dimension of `x + residual` (of `x` when `residual` is null), both `[..., C]`;
    /// `weight` is `[C]`.
    public static Normed rmsNorm(Tensor x, @Nullable Tensor residual, Tensor weight, float epsilon) {
        return RmsNorm.of(x, residual, weight, epsilon, null);
    }

    /// [#rmsNorm] for `reader`, the layer that alone reads the normed value.
    public static Normed rmsNorm(
            Tensor x, @Nullable Tensor residual, Tensor weight, float epsilon, @Nullable Reader reader) {
        return RmsNorm.of(x, residual, weight, epsilon, reader);
    }

    /// Softmax over the last dimension.
    public static Tensor softmax(Tensor x) {
        return Softmax.of(x);
    }

    /// Rotary embedding, rotate-half form, **in place**: the old value of `x` `[B, T, W]` is gone. Turns the first
    /// `heads` heads of `headDim` (even) of each row; angles are `(first + t) * base^(-2i / headDim)`, t being the
    /// index in `x` and `first` the position of its beginning.
    public static Tensor rope(Tensor x, int heads, int headDim, float base, int first) {
        return Rope.of(x, heads, headDim, base, first);
    }

    /// Causal attention of packed `qkv` `[B, T, (heads + 2 kvHeads) * headDim]`, queries, then keys, then values:
    /// `[B, T, heads * headDim]`. `heads` is a multiple of `kvHeads`; the scale is `1 / sqrt(headDim)`.
    ///
    /// **Memory**: never `[T, T]`; F32 `[B, heads, T]` beside the result.
    public static Tensor attention(Tensor qkv, int heads, int kvHeads) {
        return Attention.of(qkv, heads, kvHeads);
    }

    /// `table[ids[..., t]] + positions[t]`: `[..., T, C]` of `ids` I32 `[..., T]`, `table` `[V, C]` and `positions`
    /// `[at least T, C]` or null.
    public static Tensor embedding(Tensor table, Tensor ids, @Nullable Tensor positions) {
        return Embedding.of(table, ids, positions);
    }

    /// [#embedding] where `table` is the rows of ids `firstId` on of a larger one, and other ids give zeros, so
    /// that the sum over the ranks that divide the table is the whole ([#allReduce], [#scatterRows]); one of them
    /// gives the positions.
    public static Tensor embedding(Tensor table, Tensor ids, int firstId, @Nullable Tensor positions) {
        // which ids there are is not known here: none is refused but the negative ones
        return Embedding.of(table, ids, firstId, Integer.MAX_VALUE, positions);
    }

    /// `scale * sum of cross entropies` of `logits` `[..., V]` and `labels`, I32 with one label per row: F32 `[1]`.
    /// Rows with a negative label do not count. **Overwrites the logits** with their gradient. `scale` is F32
    /// `[1]`, usually 1 / valid tokens of the whole optimizer step.
    public static Tensor crossEntropy(Tensor logits, Tensor labels, Tensor scale) {
        return CrossEntropy.of(logits, labels, scale, 0, ALONE);
    }

    /// [#crossEntropy] where the ranks of `group` divide the columns: `logits` `[..., c]`, c being at least 1 and
    /// not necessarily the same on all ranks, are those of labels `firstLabel` on. `labels` are the same on all
    /// ranks, and so is the loss, to the bit; it is infinite where no rank has a label.
    public static Tensor crossEntropy(Tensor logits, Tensor labels, Tensor scale, int firstLabel, Group group) {
        return CrossEntropy.of(logits, labels, scale, firstLabel, group);
    }

    /// The cross entropy of each of n rows of `logits` `[..., V]`, F32 `[n]`, 0 where the label is negative;
    /// without a gradient, and the logits stay as they are.
    public static Tensor tokenLosses(Tensor logits, Tensor labels) {
        return CrossEntropy.losses(logits, labels, 0, ALONE, null);
    }

    /// [#tokenLosses] where the ranks of `group` divide the columns of the logits, as in [#crossEntropy].
    public static Tensor tokenLosses(Tensor logits, Tensor labels, int firstLabel, Group group) {
        return CrossEntropy.losses(logits, labels, firstLabel, group, null);
    }

    /// The same values in dtype `to`, rounded to nearest even; `x` itself where it has that dtype.
    public static Tensor cast(Tensor x, DType to) {
        return Cast.of(x, to);
    }

    /// The same elements in another shape: no copy, the memory is that of `x`.
    public static Tensor reshape(Tensor x, Shape to) {
        return Reshape.of(x, to);
    }

    /// Dimension i of the result is dimension `order[i]` of `x`; a copy.
    public static Tensor permute(Tensor x, int... order) {
        return Permute.of(x, order);
    }

    /// Indices `start` to `start + length` (exclusive) of dimension `dim`, counted from 0; a copy.
    public static Tensor narrow(Tensor x, int dim, int start, int length) {
        return Narrow.of(x, dim, start, length);
    }

    /// The tensors one after another along dimension `dim`; their other sizes are equal.
    public static Tensor concat(int dim, Tensor... parts) {
        return Concat.of(dim, List.of(parts));
    }

    /// The sum of all elements, F32 `[1]`.
    public static Tensor sum(Tensor x) {
        return Sum.of(x);
    }

    /// `block(x)` that keeps none of its activations and runs again in backward. `block` must compute the same
    /// thing both times, from `x` and parameters alone: it must not capture other results of operations.
    ///
    /// **Memory**: only the result; in backward the activations of this one block.
    public static Tensor recompute(UnaryOperator<Tensor> block, Tensor x) {
        return Recompute.of(block, x);
    }

    /// `x`, with `action` to run in backward, when all that was computed from the result has written its gradients:
    /// those of a block's weights where `x` is the block's operand. It runs in each backward that comes through the
    /// result, in a [#recompute] too.
    public static Tensor afterBackward(Tensor x, Runnable action) {
        return OnBackward.after(x, action);
    }

    /// `x`, with `action` to run in backward, before that comes to anything that `x` was computed from: where `x`
    /// is the result of a block, before it reads the block's weights.
    public static Tensor beforeBackward(Tensor x, Runnable action) {
        return OnBackward.before(x, action);
    }

    // ---- groups: all ranks call, with tensors of one shape; of one rank alone they cost nothing

    /// `x`, the same on all ranks of `group`, for each to compute something else from: its gradient is the sum of
    /// theirs. The opposite of [#allReduce].
    public static Tensor copyToGroup(Tensor x, Group group) {
        return CopyToGroup.of(x, group);
    }

    /// The sum of `x` over the ranks of `group`, **in place**: the old value of `x` is gone. All ranks must go on
    /// with the same computation: its gradient, which each of them has, is that of `x` as well.
    public static Tensor allReduce(Tensor x, Group group) {
        return AllReduce.of(x, group);
    }

    /// The rows of `x` `[..., C]`, n on each rank of `group`, rank 0's first: `[size * n, C]`. The gradient of a
    /// row is the sum over ranks. The opposite of [#scatterRows].
    public static Tensor gatherRows(Tensor x, Group group) {
        return GatherRows.of(x, group);
    }

    /// This rank's n rows, `[n, C]`, of the sum over the ranks of `group` of `x` `[..., C]`, which has size * n
    /// rows. The opposite of [#gatherRows].
    public static Tensor scatterRows(Tensor x, Group group) {
        return ScatterRows.of(x, group);
    }
}
