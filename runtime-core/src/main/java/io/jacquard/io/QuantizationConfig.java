package io.jacquard.io;

import io.jacquard.quantize.Float8Matrix;
import io.jacquard.quantize.Int4Matrix;
import io.jacquard.quantize.RoundedWeight;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// `quantization_config` of `config.json`: what of the weights is in few bits, as `compressed-tensors` says it.
final class QuantizationConfig {
    private static final String METHOD = "compressed-tensors";
    private static final String PACKED = "pack-quantized";
    private static final String FLOAT = "float-quantized";

    private QuantizationConfig() {}

    /// Of linear layers in blocks that are all as `weight`.
    static Map<String, @Nullable Object> of(RoundedWeight weight) {
        return switch (weight) {
            case Int4Matrix q -> {
                Map<String, @Nullable Object> weights = weights(4, "int", q.zeros() == null, "group");
                weights.put("group_size", q.group());
                yield config(PACKED, weights);
            }
            case Float8Matrix _ -> config(FLOAT, weights(8, "float", true, "channel"));
        };
    }

    private static Map<String, @Nullable Object> weights(int bits, String type, boolean symmetric, String strategy) {
        Map<String, @Nullable Object> weights = new LinkedHashMap<>();
        weights.put("num_bits", bits);
        weights.put("type", type);
        weights.put("symmetric", symmetric);
        weights.put("strategy", strategy);
        weights.put("dynamic", false);
        return weights;
    }

    private static Map<String, @Nullable Object> config(String format, Map<String, @Nullable Object> weights) {
        Map<String, @Nullable Object> all = new LinkedHashMap<>();
        all.put("targets", List.of("Linear"));
        all.put("weights", weights);
        all.put("input_activations", null);
        all.put("output_activations", null);
        Map<String, @Nullable Object> config = new LinkedHashMap<>();
        config.put("quant_method", METHOD);
        config.put("format", format);
        config.put("quantization_status", "compressed");
        config.put("config_groups", Map.of("group_0", all));
        config.put("ignore", List.of("lm_head"));
        return config;
    }

    /// @throws IllegalArgumentException if `config`, of the file `what`, is of weights that cannot be read
    static void check(String what, Map<?, ?> config) {
        Object method = config.get("quant_method");
        Object format = config.get("format");
        Object bits = config.get("config_groups") instanceof Map<?, ?> groups
                        && groups.values().stream().findFirst().orElse(null) instanceof Map<?, ?> first
                        && first.get("weights") instanceof Map<?, ?> weights
                ? weights.get("num_bits")
                : null;
        boolean packed = PACKED.equals(format) && Long.valueOf(4).equals(bits);
        boolean floats = FLOAT.equals(format) && Long.valueOf(8).equals(bits);
        if (!(METHOD.equals(method) && (packed || floats) || "fp8".equals(method))) {
            throw new IllegalArgumentException(what + ": quantization_config is of " + method + ", " + format + ", "
                    + bits + " bits; expected " + METHOD + ": " + PACKED + ", 4 bits, or " + FLOAT
                    + ", 8 bits; or fp8");
        }
        Object size = config.get("weight_block_size");
        if (size != null && !size.equals(List.of(128L, 128L))) {
            throw new IllegalArgumentException(
                    what + ": quantization_config has weight_block_size " + size + "; expected [128, 128]");
        }
    }
}
