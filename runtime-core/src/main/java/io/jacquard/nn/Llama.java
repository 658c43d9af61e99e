package io.jacquard.nn;

import io.jacquard.ops.Normed;
import io.jacquard.ops.Ops;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/// Llama (Touvron et al., arXiv:2302.13971): RoPE, pre-RMSNorm, SwiGLU, grouped-query attention, no biases. The query,
/// key and value projections are one parameter (`qkv_proj`), as are gate and up (`gate_up_proj`): their rows follow
/// one another, so `LlamaForCausalLM`'s separate weights are ranges of rows.
public final class Llama implements Decoder {
    private final DecoderConfig config;
    private final Weights weights;
    private final Parameter tokens;
    private final List<Block> blocks = new ArrayList<>();
    private final Parameter last;
    private final Parameter head;

    Llama(DecoderConfig config, Weights weights) {
        this.config = config;
        this.weights = weights;
        Weights w = weights.in("model");
        Shape table = Shape.of(config.vocabulary(), config.width());
        w.segment("embedding");
        tokens = w.declare("embed_tokens.weight", table, Init.normal(0.02));
        for (int i = 0; i < config.layers(); i++) {
            blocks.add(
                    new Block(config, i, w.segment("layers." + i).in("layers").in(i)));
        }
        last = w.segment("head").declare("norm.weight", Shape.of(config.width()), Init.ONES);
        head = config.tied() ? tokens : weights.declare("lm_head.weight", table, Init.normal(0.02));
    }

    @Override
    public DecoderConfig config() {
        return config;
    }

    @Override
    public Weights weights() {
        return weights;
    }

    @Override
    public Parameter head() {
        return head;
    }

    @Override
    public Tensor hidden(Tensor ids, Pass pass) {
        Decoder.check(config, ids, pass);
        Tensor x = Ops.embedding(tokens.value(), ids, null);
        for (Block b : blocks) {
            x = pass.recompute() ? Ops.recompute(h -> b.apply(h, pass), x) : b.apply(x, pass);
        }
        return Ops.rmsNorm(x, null, last.value(), config.normEpsilon()).value();
    }

    private static final class Block {
        private final DecoderConfig config;
        private final int layer;
        private final Parameter first;
        private final Linear qkv;
        private final Linear attentionOut;
        private final Parameter second;
        private final Linear gateUp;
        private final Linear down;

        Block(DecoderConfig config, int layer, Weights w) {
            this.config = config;
            this.layer = layer;
            int c = config.width();
            double residual = 0.02 / Math.sqrt(2.0 * config.layers());
            first = w.declare("input_layernorm.weight", Shape.of(c), Init.ONES);
            int packed = (config.heads() + 2 * config.kvHeads()) * config.headDim();
            qkv = Linear.withoutBias(w.in("self_attn").in("qkv_proj"), c, packed, 0.02);
            attentionOut = Linear.withoutBias(w.in("self_attn").in("o_proj"), c, c, residual);
            second = w.declare("post_attention_layernorm.weight", Shape.of(c), Init.ONES);
            gateUp = Linear.withoutBias(w.in("mlp").in("gate_up_proj"), c, 2 * config.hidden(), 0.02);
            down = Linear.withoutBias(w.in("mlp").in("down_proj"), config.hidden(), c, residual);
        }

        Tensor apply(Tensor x, Pass pass) {
            Tensor n = Ops.rmsNorm(x, null, first.value(), config.normEpsilon()).value();
            int rotated = config.heads() + config.kvHeads();
            Tensor packed = Ops.rope(qkv.apply(n), rotated, config.headDim(), config.ropeBase(), pass.first());
            Tensor a = attentionOut.apply(pass.attention(packed, config, layer));
            Normed m = Ops.rmsNorm(a, x, second.value(), config.normEpsilon());
            return Ops.add(m.total(), down.apply(Ops.swiGlu(gateUp.apply(m.value()))));
        }
    }
}
