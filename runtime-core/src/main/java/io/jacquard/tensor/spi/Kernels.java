package io.jacquard.tensor.spi;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// What a device computes. Every method is one whole fused launch: asynchronous, writes into `out` (first),
/// allocates nothing, waits for nothing and checks nothing: the op that calls it has checked.
///
/// Tensors are contiguous. Floating operands of one call share a dtype (F32, BF16 or F16) unless a parameter
/// says F32; arithmetic and reductions are in F32. Results are the same bits on every run. `beta` is 0
/// (overwrite, whatever was there) or 1 (accumulate). Statistics (`mean`, `rstd`, `lse`, losses) are F32.
/// `[n, c]` means any leading dimensions flattened to n rows. Where an output is a weight's gradient (`matmul`,
/// `sumRows`, `dWeight`, `dBias`, `dTable`) or the result of `axpby`, it may be F32 while the other operands are BF16
/// or F16. Low-precision types are in [Scaled] matrices and in `cast` alone.
public interface Kernels {

    // ---- moving and filling

    /// `out = value`, any dtype that is not low precision (I32 and U8 take the truncated value).
    void fill(Tensor out, float value);

    /// Converts between any two dtypes that are not low precision, and between floats and F8E4M3, F8E5M2 and I8.
    /// Floats round to nearest even. To low precision finite values saturate; infinities become NaN where the type
    /// has none (F8E4M3), and saturate in I8, where NaN becomes 0.
    void cast(Tensor out, Tensor x);

    /// `out[i] = x[j] + beta * out[i]` over an index space of `sizes`; `i` and `j` are offsets plus strides, in
    /// elements. Serves permute, narrow, concatenate and their gradients.
    void copy(
            Tensor out,
            long outOffset,
            long[] outStrides,
            Tensor x,
            long xOffset,
            long[] xStrides,
            int[] sizes,
            float beta);

    /// Philox4x32-10 normal numbers of standard deviation `deviation` (0: uniform in [0, 1)), drawn by
    /// counter (0, 0, site, element index) and key `seed`.
    void random(Tensor out, float deviation, long seed, int site);

    // ---- element by element

    /// `out = a * x + beta * out`. `out` may be `x`.
    void axpby(Tensor out, float a, Tensor x, float beta);

    /// `out = x * factor[0]`, F32 scalar on the device; returns at once when in place and the factor is 1.
    void scale(Tensor out, Tensor x, Tensor factor);

    /// `out = x + y`.
    void add(Tensor out, Tensor x, Tensor y);

    /// `out = x * y + beta * out`.
    void mul(Tensor out, Tensor x, Tensor y, float beta);

    /// `out[n, c] = x[n, c] + row[c]`.
    void addRow(Tensor out, Tensor x, Tensor row);

    /// GELU, tanh form: `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`. `out` may be `x`, and null where only
    /// the copies of `casts` are wanted.
    void gelu(@Nullable Tensor out, Tensor x, Casts casts);

    /// [#gelu(Tensor, Tensor, Casts)] without casts.
    default void gelu(Tensor out, Tensor x) {
        gelu(out, x, Casts.NONE);
    }

    /// `dx = dy * gelu'(x) + beta * dx`, of which `casts` are made. `dx` may be `x` where `beta` is 0.
    void geluGrad(Tensor dx, Tensor dy, Tensor x, float beta, Casts casts);

    /// [#geluGrad(Tensor, Tensor, Tensor, float, Casts)] without casts.
    default void geluGrad(Tensor dx, Tensor dy, Tensor x, float beta) {
        geluGrad(dx, dy, x, beta, Casts.NONE);
    }

    /// SwiGLU: `x[n, 2f]` holds gate then up; `out[n, f] = gate * sigmoid(gate) * up`. `out` may be null where only
    /// the copies of `casts` are wanted.
    void swiGlu(@Nullable Tensor out, Tensor x, Casts casts);

    /// [#swiGlu(Tensor, Tensor, Casts)] without casts.
    default void swiGlu(Tensor out, Tensor x) {
        swiGlu(out, x, Casts.NONE);
    }

    /// The gradient of [#swiGlu] with respect to `x`, gate and up, `+ beta * dx`; `dy` is `[n, f]`.
    void swiGluGrad(Tensor dx, Tensor dy, Tensor x, float beta);

    /// Inverted dropout: `out = x / (1 - p)` where kept, else 0, `+ beta * out`. The mask is a pure function of
    /// (`seed`, `counters` = I32 {step, micro-batch} on the device, `site`, element index), so that the gradient is
    /// the same call. Element i of `x` has index `first + i`: of a tensor that ranks divide, each draws its part of
    /// the one mask.
    void dropout(Tensor out, Tensor x, float p, long seed, Tensor counters, int site, long first, float beta);

    // ---- matrix products

    /// `out[m, n] = op(a) op(b) + beta * out`, then the epilogue. `a` is `[m, k]` (`[k, m]` if `ta`), `b` is `[k,
    /// n]` (`[n, k]` if `tb`); leading dimensions are flattened. `out` may be F32 while `a` and `b` are BF16.
    void matmul(Tensor out, Tensor a, boolean ta, Tensor b, boolean tb, float beta, Epilogue epilogue);

    /// `out[c] = sum over rows of x[n, c] + beta * out`: bias gradients.
    void sumRows(Tensor out, Tensor x, float beta);

    /// `out[0]` (F32) = sum of all elements.
    void sum(Tensor out, Tensor x);

    // ---- low precision

    /// What of `x` is largest, for one scale of all of it: `amax[0] = max(beta * amax[0], |x[i]|)`, F32; NaN where
    /// an element is, infinite where one is (the order is that of the bits without the sign).
    void absMax(Tensor amax, Tensor x, float beta);

    /// The scale that maps `amax[0]` to the largest value of `type`: `scale[0] = max(amax[0] / largest, 2^-126)`.
    void scaleOf(Tensor scale, Tensor amax, DType type);

    /// Low-precision copies of `x[n, c]`, floats: `out` `[n, c]` and `transposed` `[c, n]` (not of I4), either of
    /// which may be null. Without zeros. Blocks that are a whole matrix have their scale already; others receive
    /// that of [#scaleOf] of their elements. Then `value = x * (1 / scale)`, both rounded to F32, and rounded as by
    /// [#cast]. All backends give the same bits.
    void quantize(@Nullable Scaled out, @Nullable Scaled transposed, Tensor x);

    /// `out[n, c] = (x - zeros) * scales`, floats.
    void dequantize(Tensor out, Scaled x);

    /// `out[m, n] = a[m, k] b[n, k]^T + beta * out`, then the epilogue; of one integer type or both of 8-bit
    /// floating point, without zeros. Blocks are of whole rows or of 128 columns. Sums of a block's products are in
    /// F32 (I32 of integers); those of blocks, with their scales, in F32.
    void matmulScaled(Tensor out, Scaled a, Scaled b, float beta, Epilogue epilogue);

    /// Products with frozen weights `[n, k]` of I4 or I8 in groups of a row, with zeros only of I4: `out[m, n] =
    /// x[m, k] w^T`, or, where not `transposed`, `out[m, k] = x[m, n] w`; `+ beta * out`, then the epilogue. `x`
    /// and `out` are floats; a device may round the weights to the type of `x`.
    void matmulWeights(Tensor out, Tensor x, Scaled w, boolean transposed, float beta, Epilogue epilogue);

    /// Delayed scaling of `n` tensors (Micikevicius et al., arXiv:2209.05433): `history`, F32 `[n, h]`, moves on by
    /// one and receives the largest of each column of `amax` `[r, n]`, of `r` ranks, which starts again at 0;
    /// `scales` `[n]` become those of the largest finite value there, and stay where all are 0. `largest` `[n]` is
    /// that of each one's type.
    void delayScales(Tensor scales, Tensor history, Tensor amax, Tensor largest);

    // ---- norms

    /// LayerNorm over the last dimension. With `residual` not null, first `total = x + residual` (stored; `total`
    /// may be `residual`'s storage) and the norm is of `total`; else of `x` and `total` is null. `out` may be null
    /// where only the copies of `casts` are wanted.
    void layerNorm(
            @Nullable Tensor out,
            @Nullable Tensor total,
            Tensor mean,
            Tensor rstd,
            Tensor x,
            @Nullable Tensor residual,
            Tensor weight,
            Tensor bias,
            float epsilon,
            Casts casts);

    /// The same without casts.
    default void layerNorm(
            Tensor out,
            @Nullable Tensor total,
            Tensor mean,
            Tensor rstd,
            Tensor x,
            @Nullable Tensor residual,
            Tensor weight,
            Tensor bias,
            float epsilon) {
        layerNorm(out, total, mean, rstd, x, residual, weight, bias, epsilon, Casts.NONE);
    }

    /// Gradients with respect to the normed input (`dx`, `+ beta * dx`) and to `weight` and `bias` (always
    /// accumulated with `weightBeta`; F32 or the weights' dtype). `dx`, or `dWeight` and `dBias`, may be null: not
    /// wanted.
    void layerNormGrad(
            @Nullable Tensor dx,
            float beta,
            @Nullable Tensor dWeight,
            @Nullable Tensor dBias,
            float weightBeta,
            Tensor dy,
            Tensor x,
            Tensor mean,
            Tensor rstd,
            Tensor weight);

    /// RMSNorm; parameters as for [#layerNorm].
    void rmsNorm(
            @Nullable Tensor out,
            @Nullable Tensor total,
            Tensor rstd,
            Tensor x,
            @Nullable Tensor residual,
            Tensor weight,
            float epsilon,
            Casts casts);

    /// The same without casts.
    default void rmsNorm(
            Tensor out,
            @Nullable Tensor total,
            Tensor rstd,
            Tensor x,
            @Nullable Tensor residual,
            Tensor weight,
            float epsilon) {
        rmsNorm(out, total, rstd, x, residual, weight, epsilon, Casts.NONE);
    }

    /// Gradients of [#rmsNorm]; parameters as for [#layerNormGrad].
    void rmsNormGrad(
            @Nullable Tensor dx,
            float beta,
            @Nullable Tensor dWeight,
            float weightBeta,
            Tensor dy,
            Tensor x,
            Tensor rstd,
            Tensor weight);

    // ---- attention

    /// Softmax over the last dimension.
    void softmax(Tensor out, Tensor x);

    /// `dx = y * (dy - sum(dy * y)) + beta * dx`, `y` being the softmax.
    void softmaxGrad(Tensor dx, Tensor dy, Tensor y, float beta);

    /// Rotary embedding, rotate-half form, of the first `heads` heads of each row of `x` `[B, T, W]`, W >= heads *
    /// headDim; the rest of the row is copied. Angles are `(firstPosition + t) * base^(-2i/headDim)`. `inverse`
    /// turns back: the gradient. `out` may be `x`.
    void rope(Tensor out, Tensor x, int heads, int headDim, float base, int firstPosition, boolean inverse);

    /// Causal attention that never stores `[T, T]`. `qkv` is `[B, T, (heads + 2 kvHeads) * headDim]`: queries, then
    /// keys, then values; `out` is `[B, T, heads * headDim]`, `lse` F32 `[B, heads, T]` the row log-sum-exp of the
    /// scaled scores (scale `1 / sqrt(headDim)`). Query head h reads key/value head `h / (heads / kvHeads)`.
    void attention(Tensor out, Tensor lse, Tensor qkv, int heads, int kvHeads);

    /// Gradient of [#attention] with respect to `qkv` (overwritten).
    void attentionGrad(Tensor dQkv, Tensor dOut, Tensor qkv, Tensor out, Tensor lse, int heads, int kvHeads);

    // ---- tokens

    /// `out[n, c] = table[ids[n] - firstId]`, zeros where that is no row of `table`, plus `positions[t]` (t = index
    /// in the last dimension of `ids`) when not null: `table` may be rows of a larger one. Ids are below
    /// `vocabulary`, whoever has their rows; a backend may refuse others.
    void embedding(Tensor out, Tensor table, Tensor ids, int firstId, int vocabulary, @Nullable Tensor positions);

    /// `dTable[r] = beta * dTable[r] + sum of the rows of dy with id firstId + r`, in order of rows; other ids are
    /// ignored.
    void embeddingGrad(Tensor dTable, Tensor dy, Tensor ids, int firstId, float beta);

    /// Softmax cross entropy of each row: `losses[n]` (F32, 0 where the label is negative). When `scale` (F32
    /// `[1]`) is not null, `logits` are overwritten by their gradient of `scale * sum(losses)`.
    void crossEntropy(Tensor losses, Tensor logits, Tensor labels, @Nullable Tensor scale);

    /// What [#crossEntropyShard] has to know of columns `firstLabel` on of larger logits, `logits` being `[n, c]`
    /// of them: `stats`, F32 `[3, n]`, is of each row the largest logit (at least the lowest finite F32), the sum
    /// of `exp(logit - largest)`, and the logit of the label, -inf where the label is another column. Of a row with
    /// a negative label it is what it would be without columns: lowest, 0, -inf.
    void crossEntropyStats(Tensor stats, Tensor logits, Tensor labels, int firstLabel);

    /// [#crossEntropy] of logits whose columns ranks divide, those from `firstLabel` on being here: `losses[n]` are
    /// of the whole rows, from the `stats` of all ranks, F32 `[ranks, 3, n]`, and the same bits on each; infinite
    /// where no rank has the label. When `scale` is not null, the logits that are here are overwritten by their
    /// gradient.
    void crossEntropyShard(
            Tensor losses, Tensor logits, Tensor labels, int firstLabel, Tensor stats, @Nullable Tensor scale);

    // ---- optimizers, over flat tensors

    /// `out` = F32 `[2]`: {l2 norm of all elements of `gradients` (any floating dtype), 1 if finite else 0}.
    void norm(Tensor out, Tensor gradients);

    /// Adds `flag[index]` (F32, 0 or 1) to the I32 `counter[0]`: a step counts only when it was applied.
    void count(Tensor counter, Tensor flag, int index);

    /// AdamW with decoupled weight decay, bias correction by the I32 `step[0]` (already counted), clipping by
    /// `norm` = {norm, finite}: gradients are multiplied by `min(1, clip / (norm + 1e-6))` when `clip > 0`; nothing
    /// is written when finite is 0. `master`, `m`, `v` are F32; `values` (any floating dtype) receives the rounded
    /// master and may be the same tensor as `master`. Or they are BF16, each rounded as `rounding` says, which else
    /// is null, and `master` is `values`. `decays` U8, one per 256 elements: 1 where weight decay applies.
    /// `learningRate` is F32 `[1]`.
    void adamW(
            Tensor values,
            Tensor master,
            Tensor m,
            Tensor v,
            Tensor gradients,
            Tensor learningRate,
            Tensor step,
            Tensor norm,
            Tensor decays,
            float beta1,
            float beta2,
            float epsilon,
            float weightDecay,
            float clip,
            @Nullable StateRounding rounding);

    /// SGD with momentum and decoupled weight decay: `b = momentum * b + g`, then `w -= lr * (b + weightDecay * w)`
    /// (the decay where `decays` says so); the rest as for [#adamW].
    void sgd(
            Tensor values,
            Tensor master,
            Tensor momentum,
            Tensor gradients,
            Tensor learningRate,
            Tensor norm,
            Tensor decays,
            float momentumFactor,
            float weightDecay,
            float clip,
            @Nullable StateRounding rounding);
}
