package io.jacquard.nn;

/// The shape of a decoder-only Transformer.
///
/// @param type `gpt2` (learned positions, LayerNorm, GELU, biases) or `llama` (RoPE, RMSNorm, SwiGLU, no biases)
/// @param vocabulary how many tokens
/// @param context the longest sequence
/// @param layers how many blocks
/// @param heads query heads
/// @param kvHeads key/value heads; fewer than `heads` is grouped-query attention (llama only)
/// @param width the residual stream's width (C)
/// @param hidden the feed-forward layer's width
/// @param normEpsilon epsilon of the norms
/// @param ropeBase base of the rotary angles (llama)
/// @param dropout probability after embedding, attention and feed-forward projections
/// @param tied whether the head shares the token embedding's weight
public record DecoderConfig(
        String type,
        int vocabulary,
        int context,
        int layers,
        int heads,
        int kvHeads,
        int width,
        int hidden,
        float normEpsilon,
        float ropeBase,
        float dropout,
        boolean tied) {

    /// Checks that the sizes fit each other and the type.
    ///
    /// @throws IllegalArgumentException naming the two that do not
    public DecoderConfig {
        if (!type.equals("gpt2") && !type.equals("llama")) {
            throw new IllegalArgumentException("model: type '" + type + "' is unknown; gpt2 and llama are");
        }
        positive("vocabulary", vocabulary);
        positive("context", context);
        positive("layers", layers);
        positive("heads", heads);
        positive("kvHeads", kvHeads);
        positive("width", width);
        positive("hidden", hidden);
        if (width % heads != 0) {
            throw new IllegalArgumentException("model: width " + width + " is not a multiple of heads " + heads);
        }
        if (heads % kvHeads != 0) {
            throw new IllegalArgumentException("model: heads " + heads + " is not a multiple of kvHeads " + kvHeads);
        }
        if (type.equals("gpt2") && kvHeads != heads) {
            throw new IllegalArgumentException("model: gpt2 has kvHeads = heads = " + heads + ", not " + kvHeads);
        }
        if (type.equals("gpt2") && !tied) {
            throw new IllegalArgumentException("model: gpt2 has a tied head; use llama for an untied one");
        }
        if (type.equals("llama") && (width / heads) % 2 != 0) {
            throw new IllegalArgumentException("model: rotary embedding needs an even head dimension, width " + width
                    + " / heads " + heads + " = " + width / heads);
        }
        if (type.equals("llama") && dropout != 0f) {
            throw new IllegalArgumentException("model: llama has no dropout, got " + dropout);
        }
        if (!(dropout >= 0f && dropout < 1f)) {
            throw new IllegalArgumentException("model: dropout must be in [0, 1), is " + dropout);
        }
    }

    private static void positive(String key, int value) {
        if (value <= 0) {
            throw new IllegalArgumentException("model: " + key + " must be positive, is " + value);
        }
    }

    /// A GPT-2 of this size, with its usual proportions: feed-forward of 4 times the width, no dropout, tied head.
    public static DecoderConfig gpt2(int vocabulary, int context, int layers, int heads, int width) {
        return new DecoderConfig(
                "gpt2", vocabulary, context, layers, heads, heads, width, 4 * width, 1e-5f, 10000f, 0f, true);
    }

    /// A Llama of this size; `hidden` is usually near 8/3 of `width`. The head is not tied.
    public static DecoderConfig llama(
            int vocabulary, int context, int layers, int heads, int kvHeads, int width, int hidden) {
        return new DecoderConfig(
                "llama", vocabulary, context, layers, heads, kvHeads, width, hidden, 1e-5f, 10000f, 0f, false);
    }

    /// The width of one head.
    public int headDim() {
        return width / heads;
    }

    /// Floating-point operations of forward and backward for one token: 6 per weight that is multiplied, 12 L C T
    /// for the attention products of a sequence of `tokens` (Chowdhery et al., arXiv:2204.02311, appendix B).
    public double flopsPerToken(long parameters, int tokens) {
        return 6.0 * parameters + 12.0 * layers * width * tokens;
    }
}
