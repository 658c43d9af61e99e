package io.jacquard.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Cost, limits and messages of the cache; its values are compared with PyTorch's in `PyTorchAgreementTest`.
final class KeyValueCacheTest {
    private static final int CONTEXT = 128;

    private Session session;
    private Decoder model;
    private KeyValueCache cache;

    @BeforeEach
    void open() {
        session = Session.open("cpu");
        Weights weights = new Weights();
        model = Decoder.of(DecoderConfig.llama(61, CONTEXT, 2, 4, 2, 32, 80), weights);
        weights.allocate(DType.F32, DType.F32, 3);
        cache = model.cache();
    }

    @AfterEach
    void close() {
        session.close();
    }

    private static Tensor tokens(int n) {
        int[] ids = new int[n];
        for (int i = 0; i < n; i++) {
            ids[i] = i * 7 % 61;
        }
        return Tensor.of(Shape.of(1, n), ids);
    }

    /// What one token needs besides the cache does not grow with what was seen, but for one row of scores per head.
    @Test
    void oneTokenCostsOnePosition() {
        long whole = extent(CONTEXT - 1);
        long one = extent(1);
        assertEquals(CONTEXT, cache.length());
        assertTrue(20 * one < whole, one + " bytes for a token, " + whole + " for " + (CONTEXT - 1));
    }

    private long extent(int n) {
        Tensor t = tokens(n);
        try (Scope arena = Scope.openArena("next", 8 << 20)) {
            model.next(t, cache);
            return arena.extentBytes();
        }
    }

    @Test
    void clearBeginsAnew() {
        float[] first = model.next(tokens(5), cache).toFloats();
        cache.clear();
        assertEquals(0, cache.length());
        assertArrayEquals(first, model.next(tokens(5), cache).toFloats());
    }

    @Test
    void leavesNothingBehind() {
        long used = session.usedBytes();
        try (var _ = Scope.open("text")) {
            Tensor logits = model.next(tokens(3), cache);
            assertEquals(Shape.of(1, 61), logits.shape());
            assertTrue(!logits.needsGradient());
        }
        assertEquals(used, session.usedBytes());
    }

    @Test
    void refusesWhatDoesNotFit() {
        model.next(tokens(126), cache);
        assertEquals(
                "model: 3 tokens after the 126 in the cache exceed the context 128; clear() it and give the end of the"
                        + " text again",
                message(tokens(3)));
        assertEquals(
                "model: tokens [2, 1] are not [1, T] with T at least 1",
                message(tokens(2).reshape(Shape.of(2, 1))));
        assertEquals("model: tokens [1, 0] are not [1, T] with T at least 1", message(tokens(0)));
        assertEquals(126, cache.length());
    }

    private String message(Tensor tokens) {
        return assertThrows(IllegalArgumentException.class, () -> model.next(tokens, cache))
                .getMessage();
    }
}
