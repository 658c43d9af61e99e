package io.jacquard.nn;

import io.jacquard.ops.Ops;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;

/// A decoder-only language model, or the part of it that one rank holds ([Partition]). Tokens are I32 `[B, T]`, T at
/// most the context. All ranks of the tensor group call the same methods and get the same results.
public sealed interface Decoder permits Gpt, Llama {
    /// The shape of the model.
    DecoderConfig config();

    /// What of the model is here.
    Partition partition();

    /// The weights the model was declared in.
    Weights weights();

    /// The head's weight `[V, C]`, or this rank's share of its rows: the token embedding's where tied.
    ///
    /// @throws IllegalStateException where the head is not here
    Parameter head();

    /// The residual stream before the first block: `[B, T, C]`, or this rank's share of its rows ([#streamShape]).
    ///
    /// @throws IllegalArgumentException if `tokens` are not `[B, T]` with T at most the context, or are rows that
    /// the tensor ranks do not divide in a pass that records gradients
    /// @throws IllegalStateException if [Weights#allocate] was not called, or the embedding is not here
    Tensor embed(Tensor tokens, Pass pass);

    /// The stream `x` after the blocks `from` (inclusive) to `to` (exclusive), which must be here. `tokens` is the
    /// shape `[B, T]` of the pass.
    Tensor blocks(Tensor x, Shape tokens, int from, int to, Pass pass);

    /// The stream `x` after the last norm: all rows, `[B, T, C]`.
    ///
    /// @throws IllegalStateException where the end of the model is not here
    Tensor finish(Tensor x, Shape tokens);

    /// The shape of the residual stream between blocks, for tokens of shape `[B, T]`.
    default Shape streamShape(Shape tokens) {
        return Stream.of(partition().tensor(), tokens, false).shape(config().width());
    }

    /// The residual stream after the last norm, `[B, T, C]`. With a cache in `pass`, `tokens` are `[1, T]` and go
    /// on where it ends; it is not moved on. Errors as for [#embed].
    default Tensor hidden(Tensor tokens, Pass pass) {
        Tensor x = embed(tokens, pass);
        return finish(blocks(x, tokens.shape(), 0, config().layers(), pass), tokens.shape());
    }

    /// Logits `[B, T, V]` of [#hidden], in the weights' dtype; of this rank's share of the vocabulary.
    private Tensor logitsHere(Tensor hidden) {
        return Ops.linear(hidden, head().value(), null);
    }

    /// The first token of this rank's share of the vocabulary.
    private int firstToken() {
        return partition().share("tokens", config().vocabulary()).from();
    }

    /// Logits `[B, T, V]` in the weights' dtype, without a gradient where the vocabulary is divided; errors as for
    /// [#embed].
    default Tensor logits(Tensor tokens, Pass pass) {
        return Vocabulary.all(logitsHere(hidden(tokens, pass)), config(), partition());
    }

    /// `scale * sum of token losses`, F32 `[1]`. `labels` I32 `[B, T]`: the token that follows; negative does not
    /// count. `scale` is F32 `[1]`, 1 / (valid labels of the whole optimizer step), whatever the micro-batches.
    /// Errors as for [#embed].
    default Tensor loss(Tensor tokens, Tensor labels, Tensor scale, Pass pass) {
        return lossOf(hidden(tokens, pass), labels, scale);
    }

    /// [#loss] of what [#finish] gave.
    default Tensor lossOf(Tensor hidden, Tensor labels, Tensor scale) {
        return Ops.crossEntropy(
                logitsHere(hidden), labels, scale, firstToken(), partition().tensor());
    }

    /// The loss of each token, F32 `[B*T]`, without a gradient.
    default Tensor tokenLosses(Tensor tokens, Tensor labels, Pass pass) {
        return tokenLossesOf(hidden(tokens, pass), labels);
    }

    /// [#tokenLosses] of what [#finish] gave.
    default Tensor tokenLossesOf(Tensor hidden, Tensor labels) {
        return Ops.tokenLosses(
                logitsHere(hidden), labels, firstToken(), partition().tensor());
    }

    /// An empty cache for [#next], in the current scope.
    default KeyValueCache cache() {
        return new KeyValueCache(config(), Heads.of(config(), partition()));
    }

    /// Logits `[1, V]` of what follows the last of `tokens` I32 `[1, T]`, which go on where `cache` ends;
    /// afterwards it holds them, too. No gradient.
    ///
    /// @throws IllegalArgumentException if `tokens` are not `[1, T]` with T at most what the context has left
    default Tensor next(Tensor tokens, KeyValueCache cache) {
        try (Scope s = Scope.openWithoutGrad("next token")) {
            Tensor hidden = hidden(tokens, new Pass(false, 0, null, 0, cache));
            int added = tokens.shape().dim(1);
            int width = config().width();
            cache.advance(added);
            Tensor last = hidden.slice((added - 1L) * width, Shape.of(1, width));
            return s.keep(Vocabulary.all(logitsHere(last), config(), partition()));
        }
    }

    /// Declares the model of `config` in `weights`; [Weights#allocate] gives it memory.
    static Decoder of(DecoderConfig config, Weights weights) {
        return of(config, weights, Partition.whole(config));
    }

    /// As [#of(DecoderConfig, Weights)], for a rank that holds `part` of the model.
    ///
    /// @throws IllegalArgumentException if there are more tensor ranks than key/value heads, tokens or hidden
    /// columns
    static Decoder of(DecoderConfig config, Weights weights, Partition part) {
        return config.type().equals("gpt2") ? new Gpt(config, weights, part) : new Llama(config, weights, part);
    }

    /// @throws IllegalArgumentException where `tokens` do not fit the model
    static void check(DecoderConfig config, Tensor tokens, Pass pass) {
        KeyValueCache cache = pass.cache();
        if (cache != null) {
            cache.check(tokens);
            return;
        }
        if (tokens.shape().rank() != 2 || tokens.shape().dim(1) > config.context()) {
            throw new IllegalArgumentException("model: tokens " + tokens.shape()
                    + " are not [B, T] with T at most the context " + config.context());
        }
    }
}
