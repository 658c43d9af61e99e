package io.jacquard.train;

import io.jacquard.data.tokenizer.Tokenizer;
import io.jacquard.nn.Decoder;
import io.jacquard.nn.Pass;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.Consumer;

/// Lets a model continue a text. The text is a function of the weights, the prompt, the sampling and the seed.
///
/// Each token costs a forward pass over the context; there is no cache of keys and values.
///
/// **Thread**: that of the model's session.
public final class Generator {
    private final Decoder decoder;
    private final Tokenizer tokenizer;

    public Generator(Decoder decoder, Tokenizer tokenizer) {
        this.decoder = decoder;
        this.tokenizer = tokenizer;
    }

    /// Continues `prompt` by up to `tokens` tokens, fewer if the model ends the text. An empty prompt begins a new
    /// document.
    ///
    /// @param out receives the continuation as it comes, in pieces of whole characters
    /// @return how many tokens came
    public int generate(String prompt, int tokens, Sampling sampling, long seed, Consumer<String> out) {
        int end = tokenizer.endOfText().orElse(-1);
        int[] ids = tokenizer.encodeOrdinary(prompt);
        if (ids.length == 0) {
            ids = new int[] {Math.max(end, 0)};
        }
        SplittableRandom random = new SplittableRandom(seed);
        Utf8Stream text = new Utf8Stream(out);
        int made = 0;
        while (made < tokens) {
            int next = sampling.choose(lastLogits(ids), random);
            if (next == end) {
                break;
            }
            made++;
            ids = Arrays.copyOf(ids, ids.length + 1);
            ids[ids.length - 1] = next;
            text.write(tokenizer.decodeBytes(next));
        }
        text.close();
        return made;
    }

    private float[] lastLogits(int[] ids) {
        int length = Math.min(ids.length, decoder.config().context());
        int[] seen = Arrays.copyOfRange(ids, ids.length - length, ids.length);
        try (var _ = Scope.openWithoutGrad("generation")) {
            Tensor logits = decoder.logits(Tensor.of(Shape.of(1, length), seen), Pass.EVALUATION);
            int v = decoder.config().vocabulary();
            float[] last = logits.slice((length - 1L) * v, Shape.of(v)).toFloats();
            // A model may have more rows than the tokenizer has tokens.
            return Arrays.copyOf(last, Math.min(v, tokenizer.vocabularySize()));
        }
    }
}
