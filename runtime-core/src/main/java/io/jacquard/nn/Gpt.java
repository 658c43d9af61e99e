package io.jacquard.nn;

import io.jacquard.ops.Normed;
import io.jacquard.ops.Ops;
import io.jacquard.ops.Reader;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// GPT-2 (Radford et al., 2019): learned positions, pre-LayerNorm, GELU, tied head. Parameter names are those of
/// `GPT2LMHeadModel`; the linear weights are `[out, in]` here and are transposed in its files.
public final class Gpt implements Decoder {
    private final DecoderConfig config;
    private final Partition part;
    private final Weights weights;
    private final Table tokens;
    private final @Nullable Parameter positions;
    private final Map<Integer, Block> blocks = new TreeMap<>();
    private final @Nullable Norm last;
    private final int dropoutSite;

    Gpt(DecoderConfig config, Weights weights, Partition part) {
        this.config = config;
        this.part = part;
        this.weights = weights;
        Weights w = weights.in("transformer");
        tokens = Table.embedding(config, part, w, "wte.weight");
        Weights copies = w.copies("copies", part.tensor());
        positions = part.first()
                ? copies.declare("wpe.weight", Shape.of(config.context(), config.width()), Init.normal(0.02))
                : null;
        dropoutSite = w.site("drop");
        for (int i = 0; i < config.layers(); i++) {
            if (part.holds(i)) {
                Weights own = w.block("h." + i).in("h").in(i).layer(i, config.layers());
                blocks.put(i, new Block(config, part, i, own, copies.in("h").in(i)));
            }
        }
        last = part.last() ? new Norm(config, copies.in("ln_f")) : null;
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
        return tokens.parameter();
    }

    @Override
    public Tensor embed(Tensor ids, Pass pass) {
        Decoder.check(config, ids, pass);
        Stream stream = tokens.stream(ids.shape());
        // The first rank adds the positions, in the same launch: its part of the sum.
        Parameter here = part.tensor().rank() == 0 ? positions : null;
        Tensor x = stream.leave(tokens.rows(ids, here == null ? null : from(here, pass.first())));
        return stream.dropout(x, pass, config.dropout(), dropoutSite);
    }

    private Tensor from(Parameter positions, int first) {
        return first == 0 ? positions.value() : positions.value().detach().rows(first, config.context());
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
        return stream.enter(Table.here("head", last).apply(x, null));
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

        Tensor apply(Tensor x, @Nullable Reader reader) {
            return apply(x, null, reader).value();
        }

        Normed apply(Tensor x, @Nullable Tensor residual, @Nullable Reader reader) {
            return Ops.layerNorm(x, residual, weight.value(), bias.value(), epsilon, reader);
        }
    }

    private static final class Block {
        private final DecoderConfig config;
        private final int layer;
        private final Weights weights;
        private final Heads heads;
        private final Norm first;
        private final Linear qkv;
        private final Linear attentionOut;
        private final Norm second;
        private final Linear up;
        private final Linear down;
        private final int attentionSite;
        private final int feedForwardSite;

        /// @param w for what the tensor ranks divide
        /// @param copies for what each of them holds
        Block(DecoderConfig config, Partition part, int layer, Weights w, Weights copies) {
            this.config = config;
            this.layer = layer;
            weights = w;
            heads = Heads.of(config, part);
            int c = config.width();
            double residual =
                    0.02 / Math.sqrt(2.0 * config.layers()); // GPT-2: the stream's variance stays the same at any depth
            Partition.Units[] attention = Partition.attention(config);
            var hidden = new Partition.Units(config.hidden(), 1);
            first = new Norm(config, copies.in("ln_1"));
            qkv = Linear.columns(w.in("attn").in("c_attn"), part, "heads", c, 0.02, true, attention);
            attentionOut = Linear.rows(
                    w.in("attn").in("c_proj"),
                    copies.in("attn").in("c_proj"),
                    part,
                    "heads",
                    c,
                    residual,
                    attention[0]);
            second = new Norm(config, copies.in("ln_2"));
            up = Linear.columns(w.in("mlp").in("c_fc"), part, "hidden columns", c, 0.02, true, hidden);
            down = Linear.rows(
                    w.in("mlp").in("c_proj"),
                    copies.in("mlp").in("c_proj"),
                    part,
                    "hidden columns",
                    c,
                    residual,
                    hidden);
            attentionSite = w.site("attn.dropout");
            feedForwardSite = w.site("mlp.dropout");
        }

        Tensor run(Tensor x, Stream stream, Pass pass) {
            return weights.run(x, pass.recompute(), h -> apply(h, stream, pass));
        }

        private Tensor apply(Tensor x, Stream stream, Pass pass) {
            Tensor packed = qkv.consume(stream.enter(first.apply(x, stream.reader(qkv))));
            Tensor a = stream.leave(attentionOut.apply(heads.attention(packed, pass, layer)));
            Normed n = second.apply(stream.dropout(a, pass, config.dropout(), attentionSite), x, stream.reader(up));
            Tensor m = stream.leave(down.consume(up.consumeGelu(stream.enter(n.value()), down)));
            return Ops.add(n.total(), stream.dropout(m, pass, config.dropout(), feedForwardSite));
        }
    }
}
