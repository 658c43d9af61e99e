package io.jacquard.nn;

import io.jacquard.ops.Normed;
import io.jacquard.ops.Ops;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/// GPT-2 (Radford et al., 2019): learned positions, pre-LayerNorm, GELU, tied head. Parameter names are those of
/// `GPT2LMHeadModel`; the linear weights are `[out, in]` here and are transposed in its files.
public final class Gpt implements Decoder {
    private final DecoderConfig config;
    private final Weights weights;
    private final Parameter tokens;
    private final Parameter positions;
    private final List<Block> blocks = new ArrayList<>();
    private final Norm last;
    private final int dropoutSite;

    Gpt(DecoderConfig config, Weights weights) {
        this.config = config;
        this.weights = weights;
        Weights w = weights.in("transformer");
        w.segment("embedding");
        tokens = w.declare("wte.weight", Shape.of(config.vocabulary(), config.width()), Init.normal(0.02));
        positions = w.declare("wpe.weight", Shape.of(config.context(), config.width()), Init.normal(0.02));
        dropoutSite = w.site("drop");
        for (int i = 0; i < config.layers(); i++) {
            blocks.add(new Block(config, i, w.segment("h." + i).in("h").in(i)));
        }
        last = new Norm(config, w.segment("head").in("ln_f"));
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
        return tokens;
    }

    @Override
    public Tensor hidden(Tensor ids, Pass pass) {
        Decoder.check(config, ids, pass);
        Tensor x = Ops.embedding(tokens.value(), ids, positionsFrom(pass.first()));
        x = pass.dropout(x, config.dropout(), dropoutSite);
        for (Block b : blocks) {
            x = pass.recompute() ? Ops.recompute(h -> b.apply(h, pass), x) : b.apply(x, pass);
        }
        return last.apply(x);
    }

    private Tensor positionsFrom(int first) {
        return first == 0 ? positions.value() : positions.value().detach().rows(first, config.context());
    }

    private static final class Norm {
        private final Parameter weight;
        private final Parameter bias;
        private final float epsilon;

        Norm(DecoderConfig config, Weights w) {
            weight = w.declare("weight", Shape.of(config.width()), Init.ONES);
            bias = w.declare("bias", Shape.of(config.width()), Init.ZEROS);
            epsilon = config.normEpsilon();
        }

        Tensor apply(Tensor x) {
            return Ops.layerNorm(x, null, weight.value(), bias.value(), epsilon).value();
        }

        Normed apply(Tensor x, Tensor residual) {
            return Ops.layerNorm(x, residual, weight.value(), bias.value(), epsilon);
        }
    }

    private static final class Block {
        private final DecoderConfig config;
        private final int layer;
        private final Norm first;
        private final Linear qkv;
        private final Linear attentionOut;
        private final Norm second;
        private final Linear up;
        private final Linear down;
        private final int attentionSite;
        private final int feedForwardSite;

        Block(DecoderConfig config, int layer, Weights w) {
            this.config = config;
            this.layer = layer;
            int c = config.width();
            double residual =
                    0.02 / Math.sqrt(2.0 * config.layers()); // GPT-2: the stream's variance stays the same at any depth
            first = new Norm(config, w.in("ln_1"));
            qkv = Linear.withBias(w.in("attn").in("c_attn"), c, 3 * c, 0.02);
            attentionOut = Linear.withBias(w.in("attn").in("c_proj"), c, c, residual);
            second = new Norm(config, w.in("ln_2"));
            up = Linear.withBias(w.in("mlp").in("c_fc"), c, config.hidden(), 0.02);
            down = Linear.withBias(w.in("mlp").in("c_proj"), config.hidden(), c, residual);
            attentionSite = w.site("attn.dropout");
            feedForwardSite = w.site("mlp.dropout");
        }

        Tensor apply(Tensor x, Pass pass) {
            Tensor a = attentionOut.apply(pass.attention(qkv.apply(first.apply(x)), config, layer));
            Normed n = second.apply(pass.dropout(a, config.dropout(), attentionSite), x);
            Tensor m = down.apply(up.gelu(n.value()));
            return Ops.add(n.total(), pass.dropout(m, config.dropout(), feedForwardSite));
        }
    }
}
