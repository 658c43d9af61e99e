package io.jacquard.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.nn.TinyTraining.Features;
import io.jacquard.nn.TinyTraining.Result;
import io.jacquard.tensor.Session;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// {recompute} x {bf16} x {captured graph} x {two micro-batches} x {dropout}, each with each, on a tiny GPT-2 and a
/// tiny Llama: three whole steps with AdamW and clipping.
///
/// - Recomputing and replaying change no bit, whatever the rest.
/// - Two micro-batches give the gradient of one batch up to the order of the sums: 2^-18 of its norm in F32 (some tens
///   of roundings of 2^-24), 2^-5 in bf16 (activations that differ in their last of 8 bits).
/// - bf16 gives the F32 gradient to 2^-4 of its norm: 8 bits, through two blocks and back.
@TestInstance(Lifecycle.PER_CLASS)
final class FeaturePairsTest {
    static List<Features> all() {
        return TinyTraining.all();
    }

    private final Map<Features, Result> results = new HashMap<>();
    private Session session;
    private long usedAtStart;

    @BeforeAll
    void open() {
        session = Session.open("cpu");
        usedAtStart = session.usedBytes();
    }

    @AfterAll
    void close() {
        long used = session.usedBytes();
        session.close();
        assertEquals(usedAtStart, used, "bytes in use after all runs");
    }

    private Result result(Features f) {
        return results.computeIfAbsent(f, x -> TinyTraining.train(session, x));
    }

    private static void near(float[] expected, float[] got, double bound) {
        double error = 0;
        double norm = 0;
        for (int i = 0; i < expected.length; i++) {
            error += Math.pow((double) got[i] - expected[i], 2);
            norm += Math.pow(expected[i], 2);
        }
        double relative = Math.sqrt(error / norm);
        assertTrue(relative <= bound, () -> "off by " + relative + " of the norm, allowed " + bound);
        assertTrue(norm > 0, "the gradient is zero");
    }

    @ParameterizedTest
    @MethodSource("all")
    void together(Features f) {
        Result r = result(f);
        Result plain = result(f.plain());
        assertArrayEquals(plain.gradient(), r.gradient());
        assertArrayEquals(plain.losses(), r.losses());
        assertArrayEquals(plain.weights(), r.weights());
        if (f.split() && !f.dropout()) { // with dropout the micro-batch is part of the mask's counter
            near(result(f.whole()).gradient(), r.gradient(), f.bf16() ? 0x1p-5 : 0x1p-18);
        }
        if (f.bf16()) {
            near(result(f.f32()).gradient(), r.gradient(), 0x1p-4);
        }
        assertTrue(r.losses()[0] > 3 && r.losses()[0] < 4.2, "ln 37 is 3.61; the first loss is " + r.losses()[0]);
    }

    /// The features do something: dropout and bf16 change the gradient, steps change the weights.
    @Test
    void featuresAreOn() {
        Features f = new Features("gpt2", false, false, false, false, false);
        Features dropout = new Features("gpt2", false, false, false, false, true);
        Features bf16 = new Features("gpt2", false, true, false, false, false);
        assertFalse(Arrays.equals(result(f).gradient(), result(dropout).gradient()));
        assertFalse(Arrays.equals(result(f).gradient(), result(bf16).gradient()));
        assertFalse(Arrays.equals(result(dropout).weights(), result(f).weights()));
    }

    /// Recomputing keeps less: the arena of a step is smaller.
    @Test
    void recomputingSavesMemory() {
        long plain = TinyTraining.extent(session, new Features("gpt2", false, false, false, false, false));
        long recomputed = TinyTraining.extent(session, new Features("gpt2", true, false, false, false, false));
        assertTrue(recomputed < 0.8 * plain, plain + " bytes without, " + recomputed + " with");
    }
}
