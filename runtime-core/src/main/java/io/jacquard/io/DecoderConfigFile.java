package io.jacquard.io;

import io.jacquard.nn.DecoderConfig;
import io.jacquard.tensor.DType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// `config.json` of Hugging Face's `gpt2` and `llama` models. What changes the computation and is not supported here is
/// refused by name.
public final class DecoderConfigFile {
    private static final long MAX_BYTES = 1 << 20;

    private final String file;
    private final Map<String, @Nullable Object> values;

    private DecoderConfigFile(String file, Map<String, @Nullable Object> values) {
        this.file = file;
        this.values = values;
    }

    /// Reads a configuration.
    ///
    /// @throws IllegalArgumentException naming the key that is missing, malformed or not supported
    public static DecoderConfig read(Path path) throws IOException {
        DecoderConfigFile f = new DecoderConfigFile(path.toString(), Json.readObject(path, MAX_BYTES));
        String type = String.valueOf(f.values.get("model_type"));
        if (f.values.get("quantization_config") instanceof Map<?, ?> quantization) {
            QuantizationConfig.check(path.toString(), quantization);
        }
        return switch (type) {
            case "gpt2" -> f.gpt2();
            case "llama" -> f.llama();
            default ->
                throw new IllegalArgumentException(
                        path + ": model_type '" + type + "' is not supported; gpt2 and llama are");
        };
    }

    /// The end-of-text token, or -1.
    public static int endOfText(Path path) throws IOException {
        return Json.readObject(path, MAX_BYTES).get("eos_token_id") instanceof Long id ? Math.toIntExact(id) : -1;
    }

    /// The text of a configuration, readable by transformers.
    ///
    /// @param endOfText the token that ends a text, or -1
    public static String render(DecoderConfig c, DType dtype, int endOfText) {
        return render(c, dtype, endOfText, null);
    }

    /// As [#render(DecoderConfig, DType, int)], with what it says of quantized weights, if there are any.
    static String render(
            DecoderConfig c, DType dtype, int endOfText, @Nullable Map<String, @Nullable Object> quantization) {
        Map<String, @Nullable Object> m = new LinkedHashMap<>();
        boolean gpt2 = c.type().equals("gpt2");
        m.put("architectures", List.of(gpt2 ? "GPT2LMHeadModel" : "LlamaForCausalLM"));
        m.put("model_type", c.type());
        m.put("vocab_size", c.vocabulary());
        if (gpt2) {
            m.put("n_positions", c.context());
            m.put("n_embd", c.width());
            m.put("n_layer", c.layers());
            m.put("n_head", c.heads());
            m.put("n_inner", c.hidden());
            m.put("activation_function", "gelu_new");
            m.put("layer_norm_epsilon", decimal(c.normEpsilon()));
            for (String p : List.of("resid_pdrop", "embd_pdrop")) {
                m.put(p, decimal(c.dropout()));
            }
            m.put("attn_pdrop", 0.0);
        } else {
            m.put("max_position_embeddings", c.context());
            m.put("hidden_size", c.width());
            m.put("intermediate_size", c.hidden());
            m.put("num_hidden_layers", c.layers());
            m.put("num_attention_heads", c.heads());
            m.put("num_key_value_heads", c.kvHeads());
            m.put("head_dim", c.headDim());
            m.put("hidden_act", "silu");
            m.put("rms_norm_eps", decimal(c.normEpsilon()));
            m.put("rope_theta", decimal(c.ropeBase()));
        }
        m.put("tie_word_embeddings", c.tied());
        m.put("bos_token_id", endOfText < 0 ? null : endOfText);
        m.put("eos_token_id", endOfText < 0 ? null : endOfText);
        String name = dtype == DType.BF16 ? "bfloat16" : dtype == DType.F16 ? "float16" : "float32";
        m.put("dtype", name);
        m.put("torch_dtype", name); // the name before transformers 5
        if (quantization != null) {
            m.put("quantization_config", quantization);
        }
        return Json.renderLines(m);
    }

    /// The shortest decimal that is this float: 1e-5, not 9.99999974e-6.
    private static double decimal(float f) {
        return Double.parseDouble(Float.toString(f));
    }

    private DecoderConfig gpt2() {
        String activation = text("activation_function", "gelu_new");
        require(
                "activation_function",
                activation,
                activation.equals("gelu_new") || activation.equals("gelu_pytorch_tanh"));
        requireIs("scale_attn_weights", true, true);
        requireIs("scale_attn_by_inverse_layer_idx", false, false);
        requireIs("add_cross_attention", false, false);
        int width = integer("n_embd", null);
        int heads = integer("n_head", null);
        return checked(() -> new DecoderConfig(
                "gpt2",
                integer("vocab_size", null),
                integer("n_positions", null),
                integer("n_layer", null),
                heads,
                heads,
                width,
                integer("n_inner", 4 * width),
                number("layer_norm_epsilon", 1e-5),
                10000f,
                number("resid_pdrop", 0.1),
                bool("tie_word_embeddings", true)));
    }

    private DecoderConfig llama() {
        String activation = text("hidden_act", "silu");
        require("hidden_act", activation, activation.equals("silu"));
        requireIs("attention_bias", false, false);
        requireIs("mlp_bias", false, false);
        int width = integer("hidden_size", null);
        int heads = integer("num_attention_heads", null);
        int headDim = integer("head_dim", heads == 0 ? 0 : width / heads);
        require("head_dim", headDim, heads == 0 || headDim == width / heads);
        return checked(() -> new DecoderConfig(
                "llama",
                integer("vocab_size", null),
                integer("max_position_embeddings", null),
                integer("num_hidden_layers", null),
                heads,
                integer("num_key_value_heads", heads),
                width,
                integer("intermediate_size", null),
                number("rms_norm_eps", 1e-6),
                ropeBase(),
                0f,
                bool("tie_word_embeddings", false)));
    }

    /// `rope_theta` at the top level, or inside `rope_parameters` since transformers 5.
    private float ropeBase() {
        Object parameters =
                values.get("rope_parameters") == null ? values.get("rope_scaling") : values.get("rope_parameters");
        if (parameters instanceof Map<?, ?> map) {
            Object type = map.containsKey("rope_type") ? map.get("rope_type") : map.get("type");
            require("rope_parameters.rope_type", type, type == null || type.equals("default"));
            if (map.get("rope_theta") instanceof Number n) {
                return n.floatValue();
            }
        }
        return number("rope_theta", 10000.0);
    }

    private DecoderConfig checked(java.util.function.Supplier<DecoderConfig> make) {
        try {
            return make.get();
        } catch (IllegalArgumentException e) {
            throw e.getMessage() != null && e.getMessage().startsWith(file)
                    ? e
                    : new IllegalArgumentException(file + ": " + e.getMessage(), e);
        }
    }

    private int integer(String key, @Nullable Integer otherwise) {
        Object v = values.get(key);
        if (v == null && otherwise != null) {
            return otherwise;
        }
        if (v instanceof Long n && n == n.intValue()) {
            return n.intValue();
        }
        throw new IllegalArgumentException(file + ": " + key + " is " + v + "; expected an integer");
    }

    private float number(String key, double otherwise) {
        Object v = values.get(key);
        if (v == null) {
            return (float) otherwise;
        }
        if (v instanceof Number n) {
            return n.floatValue();
        }
        throw new IllegalArgumentException(file + ": " + key + " is " + v + "; expected a number");
    }

    private boolean bool(String key, boolean otherwise) {
        Object v = values.get(key);
        if (v == null) {
            return otherwise;
        }
        if (v instanceof Boolean b) {
            return b;
        }
        throw new IllegalArgumentException(file + ": " + key + " is " + v + "; expected true or false");
    }

    private String text(String key, String otherwise) {
        Object v = values.get(key);
        return v == null ? otherwise : String.valueOf(v);
    }

    private void requireIs(String key, boolean expected, boolean otherwise) {
        require(key, bool(key, otherwise), bool(key, otherwise) == expected);
    }

    private void require(String key, @Nullable Object value, boolean supported) {
        if (!supported) {
            throw new IllegalArgumentException(file + ": " + key + " '" + value + "' is not supported");
        }
    }
}
