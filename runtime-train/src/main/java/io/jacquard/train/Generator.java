package io.jacquard.train;

import io.jacquard.data.tokenizer.Tokenizer;
import io.jacquard.nn.Decoder;
import io.jacquard.nn.KeyValueCache;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.Consumer;

/// Lets a model continue a text. The text is a function of the weights, the prompt, the sampling and the seed.
///
/// Each token costs one position; when the context is full, the model reads its last half again and goes on from there.
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
        int[] given = tokenizer.encodeOrdinary(prompt);
        if (given.length == 0) {
            given = new int[] {Math.max(end, 0)};
        }
        int[] ids = given;
        SplittableRandom random = new SplittableRandom(seed);
        Utf8Stream text = new Utf8Stream(out);
        int made = 0;
        try (var _ = Scope.openWithoutGrad("generation")) {
            KeyValueCache cache = decoder.cache();
            int context = decoder.config().context();
            int unseen = Math.min(given.length, context);
            while (made < tokens) {
                int length = given.length + made;
                int next = sampling.choose(logits(ids, length - unseen, length, cache), random);
                if (next == end) {
                    break;
                }
                if (length == ids.length) {
                    ids = Arrays.copyOf(ids, 2 * length);
                }
                ids[length] = next;
                made++;
                unseen = 1;
                if (cache.length() == context) {
                    cache.clear();
                    unseen = (context + 1) / 2;
                }
                text.write(tokenizer.decodeBytes(next));
            }
        }
        text.close();
        return made;
    }

    /// The logits of what follows `ids` `from` (inclusive) to `to` (exclusive), after what the cache holds.
    private float[] logits(int[] ids, int from, int to, KeyValueCache cache) {
        try (var _ = Scope.openWithoutGrad("token")) {
            Tensor tokens = Tensor.of(Shape.of(1, to - from), Arrays.copyOfRange(ids, from, to));
            float[] logits = decoder.next(tokens, cache).toFloats();
            // A model may have more rows than the tokenizer has tokens.
            return Arrays.copyOf(logits, Math.min(logits.length, tokenizer.vocabularySize()));
        }
    }
}
