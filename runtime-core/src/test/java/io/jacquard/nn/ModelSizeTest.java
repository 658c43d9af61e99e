package io.jacquard.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

final class ModelSizeTest {
    @Test
    void parametersAreThoseOfTheirNames() {
        assertEquals(124.5, millions(ModelSize.GPT2_124M), 0.1);
        assertEquals(354.9, millions(ModelSize.GPT2_355M), 0.1);
        assertEquals(774.1, millions(ModelSize.GPT2_774M), 0.2);
        assertEquals(1557.7, millions(ModelSize.GPT2_1558M), 0.2);
        assertEquals(1235.8, millions(ModelSize.LLAMA_1B), 0.1);
        assertEquals(8030.3, millions(ModelSize.LLAMA_8B), 0.1);
    }

    private static double millions(ModelSize size) {
        Weights weights = new Weights();
        Decoder.of(size.config(), weights);
        return weights.count() / 1e6;
    }

    @Test
    void layersHoldAlmostAllWeights() {
        for (ModelSize size : ModelSize.values()) {
            DecoderConfig c = size.config();
            long inBlocks = size.layers().stream()
                    .filter(l -> !l.name().equals("head"))
                    .mapToLong(l -> (long) l.out() * l.in())
                    .sum();
            Weights weights = new Weights();
            Decoder.of(c, weights);
            double rest = weights.count() - (double) c.layers() * inBlocks;
            double embeddings = (c.tied() ? 1.0 : 2.0) * c.vocabulary() * c.width()
                    + (c.type().equals("gpt2") ? (double) c.context() * c.width() : 0);
            assertTrue(rest >= embeddings && rest - embeddings < 0.02 * weights.count(), size.label());
        }
    }

    @Test
    void anUnknownNameIsAnsweredWithTheList() {
        String message = assertThrows(IllegalArgumentException.class, () -> ModelSize.of("gpt3"))
                .getMessage();
        assertTrue(message.contains("gpt2-124m, gpt2-355m"), message);
    }
}
