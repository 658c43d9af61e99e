package io.jacquard.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.jacquard.tensor.Shape;
import org.junit.jupiter.api.Test;

class DecoderConfigTest {
    @Test
    void impossibleModelsAreRefusedByName() {
        message("model: width 30 is not a multiple of heads 4", () -> DecoderConfig.gpt2(10, 8, 1, 4, 30));
        message("model: heads 4 is not a multiple of kvHeads 3", () -> DecoderConfig.llama(10, 8, 1, 4, 3, 32, 64));
        message("model: layers must be positive, is 0", () -> DecoderConfig.gpt2(10, 8, 0, 4, 32));
        message(
                "model: rotary embedding needs an even head dimension, width 12 / heads 4 = 3",
                () -> DecoderConfig.llama(10, 8, 1, 4, 2, 12, 64));
        message(
                "model: type 'bert' is unknown; gpt2 and llama are",
                () -> new DecoderConfig("bert", 1, 1, 1, 1, 1, 1, 1, 1e-5f, 1f, 0f, true));
    }

    /// The counts that GPT-2 small and a Llama of the same form are known for.
    @Test
    void parameterCountsAreThoseOfTheModels() {
        Weights gpt2 = new Weights();
        Decoder.of(DecoderConfig.gpt2(50257, 1024, 12, 12, 768), gpt2);
        assertEquals(124_439_808, gpt2.count());
        Weights llama = new Weights(); // TinyLlama 1.1B
        Decoder.of(DecoderConfig.llama(32000, 2048, 22, 32, 4, 2048, 5632), llama);
        assertEquals(1_100_048_384, llama.count());
    }

    @Test
    void declarationsAreCheckedByName() {
        Weights w = new Weights();
        w.in("h").in(3).declare("attn.weight", Shape.of(2, 2), Init.ZEROS);
        message(
                "weights: 'h.3.attn.weight' is declared twice",
                () -> w.in("h").in(3).declare("attn.weight", Shape.of(2, 2), Init.ZEROS));
        assertEquals(
                "parameter 'h.3.attn.weight' has no memory yet; call Weights.allocate() after building the model",
                assertThrows(
                                IllegalStateException.class,
                                () -> w.parameter("h.3.attn.weight").value())
                        .getMessage());
        message("weights: no parameter 'x'", () -> w.parameter("x"));
    }

    @Test
    void segmentsCoverTheFlatTensorInOrder() {
        Weights w = new Weights();
        Decoder.of(DecoderConfig.gpt2(101, 32, 2, 3, 48), w);
        long at = 0;
        for (Weights.Segment s : w.segments()) {
            assertEquals(at, s.offset(), s.name());
            assertEquals(0, s.elements() % Weights.ALIGNMENT, s.name());
            at += s.elements();
        }
        assertEquals(
                java.util.List.of("embedding", "copies", "h.0", "h.1"),
                w.segments().stream().map(Weights.Segment::name).toList());
    }

    private static void message(String expected, Runnable run) {
        assertEquals(
                expected, assertThrows(IllegalArgumentException.class, run::run).getMessage());
    }
}
