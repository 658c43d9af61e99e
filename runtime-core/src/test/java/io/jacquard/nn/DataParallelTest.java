package io.jacquard.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.group.LocalGroup;
import io.jacquard.nn.TinyTraining.Features;
import io.jacquard.nn.TinyTraining.Result;
import io.jacquard.tensor.Session;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// Ranks that divide the batch and the optimizer's state train the same model as one rank.
final class DataParallelTest {
    static Stream<Arguments> cases() {
        List<Features> features =
                TinyTraining.all().stream().filter(f -> !f.dropout()).toList();
        return Stream.of(2, 4)
                .flatMap(
                        n -> features.stream().filter(f -> n == 2 || !f.split()).map(f -> Arguments.of(n, f)));
    }

    @ParameterizedTest
    @MethodSource("cases")
    void trainsAsOneRank(int ranks, Features f) {
        Result one;
        try (Session session = Session.open("cpu")) {
            one = TinyTraining.train(session, f);
        }
        Result[] results = new Result[ranks];
        LocalGroup.run(ranks, g -> {
            try (Session session = Session.open("cpu")) {
                results[g.rank()] = TinyTraining.train(session, f, g);
            }
        });
        double bound = f.bf16() ? 1e-3 : 1e-5;
        for (int i = 0; i < one.losses().length; i++) {
            assertEquals(one.losses()[i], results[0].losses()[i], bound * one.losses()[i], "loss of step " + i);
        }
        assertTrue(distance(one.gradient(), results[0].gradient()) <= bound, "gradient of the first step");
        for (Result r : results) {
            assertArrayEquals(results[0].weights(), r.weights(), "weights are the same bits on all ranks");
            assertArrayEquals(results[0].losses(), r.losses());
        }
    }

    /// Relative to the norm of `a`.
    private static double distance(float[] a, float[] b) {
        double difference = 0;
        double norm = 0;
        for (int i = 0; i < a.length; i++) {
            difference += Math.pow(a[i] - b[i], 2);
            norm += Math.pow(a[i], 2);
        }
        return Math.sqrt(difference / norm);
    }
}
