package io.jacquard.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/// Backward in two parts, the second of which waits for other micro-batches, gives the gradients of backward in one,
/// bit for bit.
final class SplitBackwardTest {
    private static final int MICRO_BATCHES = 3;
    private static final int VOCABULARY = 37;
    private static final int LENGTH = 12;
    private static final Shape TOKENS = Shape.of(2, LENGTH);

    /// A model with its tokens.
    private record Run(Decoder model, boolean recompute, boolean dropout, List<Tensor> tokens, Tensor scale) {
        static Run of(String type, boolean recompute, DType dtype, boolean dropout) {
            boolean gpt = type.equals("gpt2");
            Weights weights = new Weights();
            Decoder model = Decoder.of(
                    new DecoderConfig(
                            type, VOCABULARY, 16, 3, 4, gpt ? 4 : 2, 32, 48, 1e-5f, 10000f, dropout ? 0.1f : 0f, gpt),
                    weights);
            weights.allocate(dtype, DType.F32, 5);
            SplittableRandom random = new SplittableRandom(3);
            List<Tensor> tokens = Stream.generate(() -> Tensor.of(
                            TOKENS,
                            random.ints(TOKENS.elements(), 0, VOCABULARY).toArray()))
                    .limit(MICRO_BATCHES)
                    .toList();
            return new Run(model, recompute, dropout, tokens, Tensor.of(Shape.of(1), 0.01f));
        }

        Tensor loss(int microBatch) {
            Tensor counters = dropout ? Tensor.of(Shape.of(2), 4, microBatch) : null;
            Tensor t = tokens.get(microBatch);
            return model.loss(t, t, scale, new Pass(recompute, 9, counters));
        }

        float[] gradients(Runnable backward) {
            model.weights().freshGradients();
            backward.run();
            model.weights().settleGradients();
            return model.weights().gradients().toFloats();
        }

        void inOne() {
            for (int i = 0; i < MICRO_BATCHES; i++) {
                try (var _ = Scope.open("micro-batch")) {
                    loss(i).backward();
                }
            }
        }

        /// The first parts of all, then the second parts.
        void inTwo() {
            List<Scope> scopes = new ArrayList<>();
            List<Gradients.Split> splits = new ArrayList<>();
            for (int i = 0; i < MICRO_BATCHES; i++) {
                scopes.add(Scope.create("micro-batch " + i));
                try (var _ = scopes.get(i).enter()) {
                    splits.add(Gradients.split(loss(i), null));
                }
            }
            for (int i = 0; i < MICRO_BATCHES; i++) {
                try (var _ = scopes.get(i).enter()) {
                    splits.get(i).weights();
                }
                scopes.get(i).close();
            }
        }
    }

    static Stream<Arguments> features() {
        return IntStream.range(0, 12) // Llama has no dropout
                .mapToObj(i -> Arguments.of(
                        i < 8 ? "gpt2" : "llama",
                        (i & 1) != 0,
                        (i & 2) != 0 ? DType.BF16 : DType.F32,
                        (i & 4) != 0 && i < 8));
    }

    @ParameterizedTest
    @MethodSource("features")
    void givesTheSameBits(String type, boolean recompute, DType dtype, boolean dropout) {
        try (Session session = Session.open("cpu")) {
            Run run = Run.of(type, recompute, dtype, dropout);
            long used = session.usedBytes();
            float[] inOne = run.gradients(run::inOne);
            float[] inTwo = run.gradients(run::inTwo);
            assertArrayEquals(inOne, inTwo);
            assertEquals(used, session.usedBytes());
        }
    }

    /// Every matrix and bias waits for the second part, and norms do not; of recomputed blocks nothing does.
    @ParameterizedTest
    @CsvSource({"gpt2, false", "llama, false", "gpt2, true"})
    void matricesAreLeftToTheSecondPart(String type, boolean recompute) {
        try (Session _ = Session.open("cpu")) {
            Run run = Run.of(type, recompute, DType.F32, false);
            run.model.weights().freshGradients();
            Tensor all = run.model.weights().gradients();
            all.kernels().fill(all, 7f);
            Gradients.Split split = Gradients.split(run.loss(0), null);
            for (Parameter p : run.model.weights().parameters()) {
                boolean norm = p.name().contains("ln_") || p.name().contains("norm");
                boolean block = p.name().contains("h.") || p.name().contains("layers.");
                assertEquals(norm || recompute && block, isWritten(p), p.name());
            }
            split.weights();
            for (Parameter p : run.model.weights().parameters()) {
                assertTrue(isWritten(p), p.name());
            }
        }
    }

    private static boolean isWritten(Parameter p) {
        float[] untouched = new float[Math.toIntExact(p.shape().elements())];
        Arrays.fill(untouched, 7f);
        return !Arrays.equals(untouched, p.gradient().toFloats());
    }

    /// What waits is less than what forward left: operands of matrices and their gradients, no scores, no norms.
    @ParameterizedTest
    @CsvSource({"gpt2", "llama"})
    void keepsLessThanForward(String type) {
        try (Session session = Session.open("cpu")) {
            Run run = Run.of(type, false, DType.F32, false);
            long before = session.usedBytes();
            try (var _ = Scope.open("micro-batch")) {
                Tensor loss = run.loss(0);
                long forward = session.usedBytes() - before;
                Gradients.Split split = Gradients.split(loss, null);
                long between = session.usedBytes() - before;
                split.weights();
                long after = session.usedBytes() - before;
                assertTrue(between < forward, forward + " bytes after forward, " + between + " between");
                assertFalse(after > 1024, after + " bytes at the end");
            }
        }
    }
}
