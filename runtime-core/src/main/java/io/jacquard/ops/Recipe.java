package io.jacquard.ops;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.spi.Scaled.Blocks;
import java.util.Locale;

/// In what precision a linear layer multiplies. Operands are rounded to low precision for the product; sums, results,
/// weights and gradients keep their dtype.
@SuppressWarnings("ImmutableEnumChecker") // Blocks are records of two integers
public enum Recipe {
    /// As the operands are.
    DTYPE(DType.F32, DType.F32, Blocks.WHOLE, Blocks.WHOLE),

    /// E4M3, gradients E5M2; one scale for each tensor, from the largest magnitudes of the steps before
    /// (Micikevicius et al., arXiv:2209.05433): no pass over the data before the one that rounds them.
    FP8_DELAYED(DType.F8E4M3, DType.F8E5M2, Blocks.WHOLE, Blocks.WHOLE),

    /// E4M3, gradients E5M2; one scale for each tensor, from its largest magnitude.
    FP8_CURRENT(DType.F8E4M3, DType.F8E5M2, Blocks.WHOLE, Blocks.WHOLE),

    /// E4M3, gradients E5M2; one scale for each row of the shared dimension.
    FP8_ROWWISE(DType.F8E4M3, DType.F8E5M2, Blocks.ROWS, Blocks.ROWS),

    /// E4M3 throughout; one scale for 128 neighbours of activations and gradients, and for 128 x 128 of weights
    /// (DeepSeek-V3, arXiv:2412.19437, section 3.3.2).
    FP8_BLOCK(DType.F8E4M3, DType.F8E4M3, Blocks.LINES, Blocks.SQUARES),

    /// 8-bit integers, a scale for each row, forward and for the gradient of the input; the gradient of the weight,
    /// whose sums are long, in the operands' dtype (SwitchBack: Wortsman et al., arXiv:2304.13013).
    INT8(DType.I8, DType.I8, Blocks.ROWS, Blocks.ROWS),

    /// Weights of 4 bits in groups of a row, as they were loaded, which nothing changes: for inference and
    /// adapters.
    INT4_GROUP(DType.I4, DType.F32, Blocks.WHOLE, Blocks.groups(Recipe.GROUP)),

    /// Weights rounded to 4 bits in groups of a row in each pass, trained by a gradient that goes straight through
    /// the rounding (Bengio et al., arXiv:1308.3432): quantization-aware training.
    INT4_QAT(DType.I4, DType.F32, Blocks.WHOLE, Blocks.groups(Recipe.GROUP));

    /// Neighbours of a row that share a scale in 4 bits.
    public static final int GROUP = 32;

    private final DType forward;
    private final DType gradient;
    private final Blocks activations;
    private final Blocks weights;

    Recipe(DType forward, DType gradient, Blocks activations, Blocks weights) {
        this.forward = forward;
        this.gradient = gradient;
        this.activations = activations;
        this.weights = weights;
    }

    /// The name in settings and messages, such as `fp8-current`.
    public String label() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /// The type of activations and weights in products, where these have one of low precision.
    public DType forward() {
        return forward;
    }

    /// The type of gradients in products, where these have one of low precision.
    public DType gradient() {
        return gradient;
    }

    Blocks activations() {
        return activations;
    }

    /// What of a weight shares a scale.
    public Blocks weights() {
        return weights;
    }

    /// Whether weights are of low precision and never change.
    public boolean isFrozen() {
        return this == INT4_GROUP;
    }

    /// Whether anything is rounded.
    public boolean isLow() {
        return this != DTYPE;
    }

    /// Whether both operands of the products are of low precision.
    public boolean isScaled() {
        return gradient.isScaled();
    }

    /// Whether scales come from steps before.
    public boolean isDelayed() {
        return this == FP8_DELAYED;
    }

    /// Whether backward reads the input of the layer as it was, not only a copy of it or nothing.
    public boolean keepsInput() {
        return !isFrozen() && !(isScaled() && roundsWeightGradient());
    }

    /// Whether the gradient of the weight is a product of low precision, too.
    boolean roundsWeightGradient() {
        return this != INT8;
    }
}
