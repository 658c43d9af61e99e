package io.jacquard.nn;

import io.jacquard.ops.Normed;
import io.jacquard.ops.Ops;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// Llama (Touvron et al., arXiv:2302.13971): RoPE, pre-RMSNorm, SwiGLU, grouped-query attention, no biases. The query,
/// key and value projections are one parameter (`qkv_proj`), as are gate and up (`gate_up_proj`): their rows follow
/// one another, so `LlamaForCausalLM`'s separate weights are ranges of rows.
public final class Llama implements Decoder {
    private final DecoderConfig config;
    private final Partition part;
    private final Weights weights;
    private final Table tokens;
    private final Map<Integer, Block> blocks = new TreeMap<>();
    private final @Nullable Parameter last;
    private final Table head;

    Llama(DecoderConfig config, Weights weights, Partition part) {
        this.config = config;
        this.part = part;
        this.weights = weights;
        Weights w = weights.in("model");
        tokens = Table.embedding(config, part, w, "embed_tokens.weight");
        Weights copies = w.copies("copies", part.tensor());
        for (int i = 0; i < config.layers(); i++) {
            if (part.holds(i)) {
                Weights own = w.block("layers." + i).in("layers").in(i).layer(i, config.layers());
                blocks.put(
                        i, new Block(config, part, i, own, copies.in("layers").in(i)));
            }
        }
        last = part.last() ? copies.declare("norm.weight", Shape.of(config.width()), Init.ONES) : null;
        head = config.tied() ? tokens : Table.head(config, part, weights, "lm_head.weight");
    }

    @Override
    public DecoderConfig config() {
        return config;
    }

    @Override
    public Partition partition() {
        return part;
    }

    @Override
    public Weights weights() {
        return weights;
    }

    @Override
    public Parameter head() {
        return head.parameter();
    }

    @Override
    public Tensor embed(Tensor ids, Pass pass) {
        Decoder.check(config, ids, pass);
        return tokens.stream(ids.shape()).leave(tokens.rows(ids, null));
    }

    @Override
    public Tensor blocks(Tensor x, Shape tokens, int from, int to, Pass pass) {
        Stream stream = Stream.of(part.tensor(), tokens, Tensor.records(List.of(x)));
        Tensor y = x;
        for (int i = from; i < to; i++) {
            y = Table.here("block", blocks.get(i)).run(y, stream, pass);
        }
        return y;
    }

    @Override
    public Tensor finish(Tensor x, Shape tokens) {
        Stream stream = Stream.of(part.tensor(), tokens, Tensor.records(List.of(x)));
        Parameter norm = Table.here("head", last);
        return stream.enter(
                Ops.rmsNorm(x, null, norm.value(), config.normEpsilon()).value());
    }

    private static final class Block {
        private final DecoderConfig config;
        private final int layer;
        private final Weights weights;
        private final Heads heads;
        private final Parameter first;
        private final Linear qkv;
        private final Linear attentionOut;
        private final Parameter second;
        private final Linear gateUp;
        private final Linear down;

        /// @param w for what the tensor ranks divide
        /// @param copies for what each of them holds
        Block(DecoderConfig config, Partition part, int layer, Weights w, Weights copies) {
            this.config = config;
            this.layer = layer;
            weights = w;
            heads = Heads.of(config, part);
            int c = config.width();
            double residual = 0.02 / Math.sqrt(2.0 * config.layers());
            Partition.Units[] attention = Partition.attention(config);
            var hidden = new Partition.Units(config.hidden(), 1);
            first = copies.declare("input_layernorm.weight", Shape.of(c), Init.ONES);
            qkv = Linear.columns(w.in("self_attn").in("qkv_proj"), part, "key/value heads", c, 0.02, false, attention);
            attentionOut = Linear.rows(
                    w.in("self_attn").in("o_proj"), null, part, "key/value heads", c, residual, attention[0]);
            second = copies.declare("post_attention_layernorm.weight", Shape.of(c), Init.ONES);
            gateUp = Linear.columns(
                    w.in("mlp").in("gate_up_proj"), part, "hidden columns", c, 0.02, false, hidden, hidden);
            down = Linear.rows(w.in("mlp").in("down_proj"), null, part, "hidden columns", c, residual, hidden);
        }

        Tensor run(Tensor x, Stream stream, Pass pass) {
            return weights.run(x, pass.recompute(), h -> apply(h, stream, pass));
        }

        private Tensor apply(Tensor x, Stream stream, Pass pass) {
            Tensor n = Ops.rmsNorm(x, null, first.value(), config.normEpsilon(), stream.reader(qkv))
                    .value();
            Tensor qk = qkv.consume(stream.enter(n));
            Tensor packed =
                    Ops.rope(qk, heads.query() + heads.keyValue(), heads.dim(), config.ropeBase(), pass.first());
            Tensor a = stream.leave(attentionOut.apply(heads.attention(packed, pass, layer)));
            Normed m = Ops.rmsNorm(a, x, second.value(), config.normEpsilon(), stream.reader(gateUp));
            Tensor h = Ops.swiGlu(gateUp.consume(stream.enter(m.value())), down.reader());
            Tensor f = stream.leave(down.consume(h));
            return Ops.add(m.total(), f);
        }
    }
}
