package io.jacquard.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

final class SamplingTest {
    private static final float[] LOGITS = {0.5f, Float.NaN, 2f, -1f, 2f, Float.NEGATIVE_INFINITY, -0f, 0f};

    @Test
    void likeliestFirst() {
        assertArrayEquals(new int[] {2, 4, 0, 7, 6, 3, 5, 1}, Sampling.likeliestFirst(LOGITS));
        assertArrayEquals(new int[0], Sampling.likeliestFirst(new float[0]));
    }

    private static int[] counts(Sampling sampling, float... logits) {
        SplittableRandom random = new SplittableRandom(1);
        int[] counts = new int[logits.length];
        for (int i = 0; i < 10_000; i++) {
            counts[sampling.choose(logits, random)]++;
        }
        return counts;
    }

    /// Frequencies are those of the softmax of `logits / temperature`, to four standard deviations.
    @Test
    void frequenciesAreTheProbabilities() {
        float[] logits = {1f, 0f, 2f};
        for (float temperature : new float[] {0.5f, 1f, 2f}) {
            int[] counts = counts(new Sampling(temperature, 0, 1), logits);
            double sum = 0;
            for (float l : logits) {
                sum += Math.exp(l / temperature);
            }
            for (int i = 0; i < 3; i++) {
                double p = Math.exp(logits[i] / temperature) / sum;
                assertEquals(10_000 * p, counts[i], 4 * Math.sqrt(10_000 * p * (1 - p)), "temperature " + temperature);
            }
        }
    }

    @Test
    void onlyTheLikeliestAreChosen() {
        assertArrayEquals(new int[] {0, 0, 10_000, 0}, counts(new Sampling(0, 0, 1), 1, 0, 2, 2));
        assertArrayEquals(new int[] {0, 0, 10_000, 0}, counts(new Sampling(1, 1, 1), 1, 0, 2, 2));
        assertEquals(0, counts(new Sampling(1, 2, 1), 1, 0, 2, 2)[0]);
        // probabilities 0.09, 0.24, 0.67: the likeliest alone reaches 0.6, the first two 0.9
        assertArrayEquals(new int[] {0, 0, 10_000}, counts(new Sampling(1, 0, 0.6f), 0, 1, 2));
        assertEquals(0, counts(new Sampling(1, 0, 0.9f), 0, 1, 2)[0]);
    }

    @Test
    void wrongSettingsAreNamed() {
        assertEquals(
                "sampling: temperature=-1.0, topK=0, topP=1.0; expected temperature >= 0, topK >= 0, 0 < topP <= 1",
                assertThrows(IllegalArgumentException.class, () -> new Sampling(-1, 0, 1))
                        .getMessage());
    }
}
