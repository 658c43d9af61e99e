package io.jacquard.nn;

import io.jacquard.ops.Ops;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;

/// A decoder-only language model. Tokens are I32 `[B, T]`, T at most the context.
public sealed interface Decoder permits Gpt, Llama {
    /// The shape of the model.
    DecoderConfig config();

    /// The weights the model was declared in.
    Weights weights();

    /// The residual stream after the last norm, `[B, T, C]`. With a cache in `pass`, `tokens` are `[1, T]` and go
    /// on where it ends; it is not moved on.
    ///
    /// @throws IllegalArgumentException if `tokens` are not `[B, T]` with T at most the context
    /// @throws IllegalStateException if [Weights#allocate] was not called
    Tensor hidden(Tensor tokens, Pass pass);

    /// The head's weight `[V, C]`: the token embedding's where tied.
    Parameter head();

    /// Logits `[B, T, V]` in the weights' dtype; errors as for [#hidden].
    default Tensor logits(Tensor tokens, Pass pass) {
        return Ops.linear(hidden(tokens, pass), head().value(), null);
    }

    /// `scale * sum of token losses`, F32 `[1]`. `labels` I32 `[B, T]`: the token that follows; negative does not
    /// count. `scale` is F32 `[1]`, 1 / (valid labels of the whole optimizer step), whatever the micro-batches.
    /// Errors as for [#hidden].
    default Tensor loss(Tensor tokens, Tensor labels, Tensor scale, Pass pass) {
        return Ops.crossEntropy(logits(tokens, pass), labels, scale);
    }

    /// The loss of each token, F32 `[B*T]`, without a gradient.
    default Tensor tokenLosses(Tensor tokens, Tensor labels, Pass pass) {
        return Ops.tokenLosses(logits(tokens, pass), labels);
    }

    /// Logits `[1, V]` of what follows the last of `tokens` I32 `[1, T]`, which go on where `cache` ends;
    /// afterwards it holds them, too. No gradient.
    ///
    /// @throws IllegalArgumentException if `tokens` are not `[1, T]` with T at most what the context has left
    default Tensor next(Tensor tokens, KeyValueCache cache) {
        try (Scope s = Scope.openWithoutGrad("next token")) {
            Tensor hidden = hidden(tokens, new Pass(false, 0, null, cache));
            int added = tokens.shape().dim(1);
            int width = config().width();
            cache.advance(added);
            Tensor last = hidden.slice((added - 1L) * width, Shape.of(1, width));
            return s.keep(Ops.linear(last, head().value(), null));
        }
    }

    /// Declares the model of `config` in `weights`; [Weights#allocate] gives it memory.
    static Decoder of(DecoderConfig config, Weights weights) {
        return config.type().equals("gpt2") ? new Gpt(config, weights) : new Llama(config, weights);
    }

    /// @throws IllegalArgumentException where `tokens` do not fit the model
    static void check(DecoderConfig config, Tensor tokens, Pass pass) {
        if (pass.cache() != null) {
            pass.cache().check(tokens);
            return;
        }
        if (tokens.shape().rank() != 2 || tokens.shape().dim(1) > config.context()) {
            throw new IllegalArgumentException("model: tokens " + tokens.shape()
                    + " are not [B, T] with T at most the context " + config.context());
        }
    }
}
