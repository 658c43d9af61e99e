package io.jacquard.train;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.jacquard.data.Batches;
import io.jacquard.group.Group;
import io.jacquard.group.LocalGroup;
import io.jacquard.group.SoloGroup;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Replicas share out a validation and find the score of one, to the bit.
final class EvaluatorTest {
    @TempDir
    private Path directory = Path.of("");

    /// A loss of each token whose sums depend on their order.
    private static Tensor losses(Tensor tokens, Tensor labels, AtomicInteger sequences) {
        sequences.addAndGet(tokens.shape().dim(0));
        int[] t = tokens.toInts();
        int[] l = labels.toInts();
        int context = tokens.shape().dim(1);
        float[] losses = new float[t.length];
        for (int i = 0; i < t.length; i++) {
            losses[i] = (float) Math.exp(Math.sin(t[i] + 31 * l[i] + i % context));
        }
        return Tensor.of(Shape.of(t.length), losses);
    }

    private static Score score(TrainingData data, Group replicas, int batch, int sequences, AtomicInteger computed) {
        Batches validation = Objects.requireNonNull(data.validation());
        return new Evaluator(
                        (t, l) -> losses(t, l, computed),
                        data.tokenizer().vocabularySize(),
                        data.tokenizer(),
                        batch,
                        replicas)
                .score(validation, sequences);
    }

    @Test
    void replicasFindTheScoreOfOne() throws IOException {
        TinyRun.prepare(directory);
        try (TrainingData data =
                TrainingData.open(TinyRun.config(directory, "run").read())) {
            for (int sequences = 1; sequences <= 9; sequences += 2) {
                Score one;
                AtomicInteger alone = new AtomicInteger();
                try (Session _ = Session.open("cpu")) {
                    one = score(data, new SoloGroup(), 2, sequences, alone);
                }
                assertEquals(sequences, alone.get());
                for (int ranks = 2; ranks <= 4; ranks++) {
                    for (int batch = 1; batch <= 3; batch++) {
                        replicas(data, ranks, batch, sequences, one);
                    }
                }
            }
        }
    }

    /// Each computes its share; with what fills up the last round, no more than one sequence above it.
    private static void replicas(TrainingData data, int ranks, int batch, int sequences, Score one) {
        int most = Math.ceilDiv(sequences, ranks);
        LocalGroup.run(ranks, g -> {
            try (Session _ = Session.open("cpu")) {
                AtomicInteger computed = new AtomicInteger();
                assertEquals(one, score(data, g, batch, sequences, computed));
                assertEquals(most, computed.get());
            }
        });
    }
}
