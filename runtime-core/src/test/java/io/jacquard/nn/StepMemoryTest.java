package io.jacquard.nn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.ops.Ops;
import io.jacquard.ops.Recipe;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.DeviceOutOfMemoryException;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What a training step needs and when it lets go of it.
final class StepMemoryTest {
    private static final int BATCH = 4;
    private static final int LENGTH = 64;
    private static final int WIDTH = 64;
    private static final int LAYERS = 4;
    private static final int VOCABULARY = 61;

    /// `[B, T, C]` in F32.
    private static final long STREAM = 4L * BATCH * LENGTH * WIDTH;

    /// Of blocks that are measured one by one: so wide that statistics of rows are a small part.
    private static final int TOKENS = 128;

    private static final int WIDE = 512;

    private Session session;
    private Decoder model;
    private Tensor tokens;
    private Tensor scale;

    @BeforeEach
    void open() {
        session = Session.open("cpu");
        Weights weights = new Weights();
        model = Decoder.of(DecoderConfig.gpt2(VOCABULARY, LENGTH, LAYERS, 4, WIDTH), weights);
        weights.allocate(DType.F32, DType.F32, 3);
        tokens = Tensor.zeros(Shape.of(BATCH, LENGTH), DType.I32);
        scale = Tensor.of(Shape.of(1), 1f / (BATCH * LENGTH));
    }

    @AfterEach
    void close() {
        session.close();
    }

    @Test
    void backwardLeavesTheLossAndNothingElse() {
        try (Scope step = Scope.open("step")) {
            Tensor loss = model.loss(tokens, tokens, scale, Pass.PLAIN);
            assertTrue(step.ownedBytes() > LAYERS * 16 * STREAM, "activations of the blocks");
            loss.backward();
            long losses = 4L * BATCH * LENGTH; // of the tokens, which loss is the sum of
            assertEquals(256 + losses, step.ownedBytes());
        }
    }

    /// Backward needs little more than forward left: the widest gradients of one block while its activations go.
    @Test
    void backwardPeaksNearForward() {
        try (Scope step = Scope.openArena("step", 64 << 20)) {
            Tensor loss = model.loss(tokens, tokens, scale, Pass.PLAIN);
            long forward = step.extentBytes();
            loss.backward();
            long grown = step.extentBytes() - forward;
            assertTrue(forward < (LAYERS * 17 + 9) * STREAM, forward + " bytes of forward");
            assertTrue(grown < 7 * STREAM, grown + " bytes more than the " + forward + " of forward");
        }
    }

    /// What a block in bf16 holds until backward: bytes for each token and unit of width, and copies of its weights
    /// in bytes for each of them. These are the figures of `docs/precision.md`. In 8 bits inputs that one layer
    /// alone reads, in GPT-2 those of width 1, 1 and 4, are not held beside their copies.
    @ParameterizedTest
    @CsvSource({
        "gpt2, DTYPE, 36, 0",
        "gpt2, FP8_CURRENT, 31, 1",
        "gpt2, FP8_DELAYED, 31, 1",
        "gpt2, FP8_ROWWISE, 31, 1",
        "gpt2, FP8_BLOCK, 31, 1",
        "gpt2, INT8, 36, 1",
        "gpt2, INT4_QAT, 36, 2",
        "llama, DTYPE, 44, 0",
        "llama, FP8_CURRENT, 39, 1",
        "llama, FP8_DELAYED, 39, 1"
    })
    void eightBitsOfAnInputAreHeldAndNotTheInput(String model, Recipe recipe, long ofTokens, long ofWeights) {
        long weights = (model.equals("gpt2") ? 12L : 16L) * WIDE * WIDE;
        long block = (forward(model, recipe, 3) - forward(model, recipe, 1)) / 2;
        assertEquals(ofTokens, (block - ofWeights * weights) / (TOKENS * WIDE));
    }

    /// Bytes of a step's scope after forward, in the second step, whose scales are known.
    private static long forward(String type, Recipe recipe, int layers) {
        try (var _ = Scope.open("model")) {
            Weights weights = new Weights(1, new Precision(recipe, 0));
            Decoder decoder = Decoder.of(
                    new DecoderConfig(type, VOCABULARY, TOKENS, layers, 4, 4, WIDE, 4 * WIDE, 1e-5f, 10000f, 0f, true),
                    weights);
            weights.allocate(DType.BF16, DType.BF16, 3);
            if (weights.delayedScales() != null) {
                weights.delayedScales().step();
            }
            Tensor ids = Tensor.zeros(Shape.of(1, TOKENS), DType.I32);
            Tensor one = Tensor.of(Shape.of(1), 1f);
            try (Scope step = Scope.open("step")) {
                decoder.loss(ids, ids, one, Pass.PLAIN);
                return step.ownedBytes();
            }
        }
    }

    /// Without gradients GELU needs no memory of its own, and gives the same bits.
    @Test
    void geluKeepsItsArgumentForBackwardOnly() {
        Tensor x = Tensor.of(Shape.of(2, 2), -1f, 2f, 0.5f, -3f);
        Tensor w = Tensor.of(Shape.of(64, 2), new float[128]);
        try (Scope plain = Scope.open("no leaf")) {
            Ops.linearGelu(x, w, null);
            assertEquals(512, plain.ownedBytes());
        }
        try (Scope without = Scope.openWithoutGrad("without gradient")) {
            Ops.linearGelu(x, w.leaf(), null);
            assertEquals(512, without.ownedBytes());
        }
        try (Scope with = Scope.open("with gradient")) {
            Ops.linearGelu(x, w.leaf(), null);
            assertEquals(1024, with.ownedBytes());
        }
    }

    @Test
    void outOfMemoryNamesTheLayers() {
        try (Scope _ = Scope.openArena("step", 4 << 20)) {
            DeviceOutOfMemoryException e =
                    assertThrows(DeviceOutOfMemoryException.class, () -> model.loss(tokens, tokens, scale, Pass.PLAIN));
            assertEquals(
                    "out of memory in the arena of scope 'step': wanted 256.0 KiB for [4, 64, 256] F32, 4.0 MiB of 4.0 MiB"
                            + " in use; held by scopes: step 4.0 MiB (linear transformer.h.*.mlp.c_fc 1.5 MiB, linear"
                            + " transformer.h.*.attn.c_attn 768.0 KiB, add 448.0 KiB, 6 others 1.3 MiB); measure"
                            + " extentBytes() of a warm-up run again",
                    e.getMessage());
        }
    }
}
