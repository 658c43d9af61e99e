package io.jacquard.nn;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/// Published model sizes by name: one table for tests, benchmarks and whoever trains one of them.
@SuppressWarnings("ImmutableEnumChecker") // a record of numbers and a type's name
public enum ModelSize {
    /// For tests that must end in seconds.
    GPT2_TINY("gpt2-tiny", DecoderConfig.gpt2(256, 64, 2, 4, 64)),
    /// For tests, with grouped heads.
    LLAMA_TINY("llama-tiny", DecoderConfig.llama(256, 64, 2, 4, 2, 64, 160)),
    /// A character model of 10 M parameters.
    CHAR_GPT("char-gpt", DecoderConfig.gpt2(128, 256, 6, 6, 384)),
    /// GPT-2; the vocabulary of 50257 padded to a multiple of 128, as its trainers do.
    GPT2_124M("gpt2-124m", DecoderConfig.gpt2(50304, 1024, 12, 12, 768)),
    GPT2_355M("gpt2-355m", DecoderConfig.gpt2(50304, 1024, 24, 16, 1024)),
    GPT2_774M("gpt2-774m", DecoderConfig.gpt2(50304, 1024, 36, 20, 1280)),
    GPT2_1558M("gpt2-1558m", DecoderConfig.gpt2(50304, 1024, 48, 25, 1600)),
    /// The shape of Llama 3.2 1B.
    LLAMA_1B("llama-1b", new DecoderConfig("llama", 128256, 8192, 16, 32, 8, 2048, 8192, 1e-5f, 500000f, 0f, true)),
    /// The shape of Llama 3 8B.
    LLAMA_8B("llama-8b", new DecoderConfig("llama", 128256, 8192, 32, 32, 8, 4096, 14336, 1e-5f, 500000f, 0f, false));

    private final String label;
    private final DecoderConfig config;

    ModelSize(String label, DecoderConfig config) {
        this.label = label;
        this.config = config;
    }

    /// A linear layer of a model: `y[tokens, out] = x[tokens, in] weightᵀ`.
    ///
    /// @param bias whether it has one
    /// @param gelu whether a GELU follows
    public record Layer(String name, int out, int in, boolean bias, boolean gelu) {}

    /// The size of this name.
    ///
    /// @throws IllegalArgumentException if there is none
    public static ModelSize of(String label) {
        return Arrays.stream(values())
                .filter(m -> m.label.equals(label))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("model size '" + label + "' is unknown; there are "
                        + Arrays.stream(values()).map(ModelSize::label).collect(Collectors.joining(", "))));
    }

    /// As in `gpt2-124m`.
    public String label() {
        return label;
    }

    /// The shape with its usual context.
    public DecoderConfig config() {
        return config;
    }

    /// The shape with sequences of at most `context` tokens.
    public DecoderConfig config(int context) {
        DecoderConfig c = config;
        return new DecoderConfig(
                c.type(),
                c.vocabulary(),
                context,
                c.layers(),
                c.heads(),
                c.kvHeads(),
                c.width(),
                c.hidden(),
                c.normEpsilon(),
                c.ropeBase(),
                c.dropout(),
                c.tied());
    }

    /// The matrix products of one block, and the head's.
    public List<Layer> layers() {
        int c = config.width();
        boolean gpt = config.type().equals("gpt2");
        int packed = (config.heads() + 2 * config.kvHeads()) * config.headDim();
        return List.of(
                new Layer("qkv", packed, c, gpt, false),
                new Layer("attention out", c, c, gpt, false),
                new Layer("up", gpt ? config.hidden() : 2 * config.hidden(), c, gpt, gpt),
                new Layer("down", c, config.hidden(), gpt, false),
                new Layer("head", config.vocabulary(), c, false, false));
    }
}
