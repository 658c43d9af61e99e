package io.jacquard.train;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.jacquard.data.tokenizer.ByteTokenizer;
import io.jacquard.nn.Decoder;
import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.Pass;
import io.jacquard.nn.Weights;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.random.RandomGenerator;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GeneratorTest {
    private static final int CONTEXT = 16;
    private static final int TOKENS = 50;
    private static final Sampling LIKELIEST = new Sampling(0, 0, 1);

    /// The text is what whole passes give, also where it outgrows the context: then each pass begins at the last
    /// half of it, as it was when the context was full.
    @ParameterizedTest
    @ValueSource(strings = {"ab", "a prompt longer than the context"})
    void writesWhatWholePassesWrite(String prompt) {
        ByteTokenizer tokenizer = new ByteTokenizer();
        try (var _ = Session.open("cpu")) {
            Weights weights = new Weights();
            Decoder model = Decoder.of(DecoderConfig.gpt2(tokenizer.vocabularySize(), CONTEXT, 2, 2, 32), weights);
            weights.allocate(DType.F32, DType.F32, 11);
            Tensor embedding = model.head().value().detach();
            embedding.kernels().axpby(embedding, 20f, embedding, 0f); // far from ties
            StringBuilder text = new StringBuilder();
            int made = new Generator(model, tokenizer).generate(prompt, TOKENS, LIKELIEST, 1, text::append);

            List<Integer> ids = new ArrayList<>();
            for (int id : tokenizer.encodeOrdinary(prompt)) {
                ids.add(id);
            }
            int given = ids.size();
            int from = Math.max(0, given - CONTEXT);
            for (int i = 0; i < made; i++) {
                ids.add(likeliest(model, ids.subList(from, ids.size())));
                if (ids.size() - 1 - from == CONTEXT) {
                    from = ids.size() - CONTEXT / 2;
                }
            }
            StringBuilder expected = new StringBuilder();
            Utf8Stream utf8 = new Utf8Stream(expected::append);
            ids.subList(given, ids.size()).forEach(id -> utf8.write(tokenizer.decodeBytes(id)));
            utf8.close();
            assertEquals(TOKENS, made);
            assertEquals(expected.toString(), text.toString());
        }
    }

    private static int likeliest(Decoder model, List<Integer> ids) {
        try (var _ = Scope.openWithoutGrad("whole pass")) {
            int[] seen = ids.stream().mapToInt(i -> i).toArray();
            Tensor logits = model.logits(Tensor.of(Shape.of(1, seen.length), seen), Pass.PLAIN);
            int v = model.config().vocabulary();
            float[] last = logits.slice((seen.length - 1L) * v, Shape.of(v)).toFloats();
            return LIKELIEST.choose(last, RandomGenerator.getDefault());
        }
    }
}
