package io.jacquard.parallel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.group.LocalGroup;
import io.jacquard.group.SoloGroup;
import io.jacquard.group.Watch;
import io.jacquard.ops.Ops;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// What a pipeline says when stages are wrong, and that nothing is left then.
@Timeout(60)
final class PipelineMessagesTest {
    private static final int WIDTH = 4;

    /// A stage of `[1, 4]` that computes what the test says.
    private record Part(int width, BiFunction<@Nullable Tensor, Integer, Tensor> compute) implements Stage {
        @Override
        public Shape inputShape() {
            return Shape.of(1, width);
        }

        @Override
        public DType inputDType() {
            return DType.F32;
        }

        @Override
        public Tensor forward(@Nullable Tensor x, int microBatch) {
            return compute.apply(x, microBatch);
        }
    }

    private static Tensor weight() {
        Tensor one = Tensor.of(Shape.of(1, WIDTH), 1f, 1f, 1f, 1f);
        return one.leaf(Tensor.zeros(one.shape(), DType.F32), "w");
    }

    private static Part first() {
        Tensor w = weight();
        return new Part(WIDTH, (_, _) -> Ops.mul(w, w));
    }

    private static Part last() {
        return new Part(WIDTH, (x, _) -> Ops.sum(Objects.requireNonNull(x)));
    }

    private interface Stages {
        Stage of(int rank);
    }

    /// Runs 1F1B of four micro-batches and returns what the ranks' runs have thrown.
    ///
    /// @param message what the run of all ranks must end in
    private static List<String> failures(int ranks, String message, Stages stages) {
        ConcurrentLinkedQueue<String> thrown = new ConcurrentLinkedQueue<>();
        RuntimeException e = assertThrows(
                RuntimeException.class,
                () -> LocalGroup.run(ranks, Watch.of(Duration.ofSeconds(20)), g -> {
                    try (Session session = Session.open("cpu");
                            Pipeline pipeline = new Pipeline(
                                    g, Schedule.oneForwardOneBackward(ranks, 4), List.of(stages.of(g.rank())))) {
                        long used = session.usedBytes();
                        try {
                            pipeline.run();
                        } catch (RuntimeException failure) {
                            thrown.add(failure.getMessage());
                            assertEquals(used, session.usedBytes(), "bytes in use after the failure");
                            throw failure;
                        }
                    }
                }));
        String first = String.valueOf(e.getMessage()).lines().findFirst().orElse(""); // the report is behind it
        assertTrue(first.endsWith(message), e.toString());
        // the report of the group, but no complaint about scopes that were left open
        assertTrue(
                Arrays.stream(e.getSuppressed())
                        .allMatch(s -> String.valueOf(s.getMessage()).startsWith("group: rank ")),
                () -> Arrays.toString(e.getSuppressed()));
        return thrown.stream().sorted().toList();
    }

    /// One rank says what happened, the others say who failed where, and why.
    @Test
    void aStageThatThrowsEndsAllRanks() {
        for (int bad = 0; bad < 3; bad++) {
            int rank = bad;
            List<String> thrown = failures(3, "no more data", r -> {
                Part part = r == 0 ? first() : r == 2 ? last() : new Part(WIDTH, (x, _) -> Ops.scale(x, 2f));
                return new Part(WIDTH, (x, i) -> {
                    if (r == rank && i == 2) {
                        throw new IllegalArgumentException("no more data");
                    }
                    return part.forward(x, i);
                });
            });
            String told = "pipeline: rank " + rank + " failed in the forward of micro-batch 2, chunk 0: no more data";
            assertEquals(List.of("no more data", told, told), thrown);
        }
    }

    /// A failure while a neighbour copies this rank's activations: it must not lose the memory under its hands.
    @Test
    void aRankThatFailsIsNotReadAnyMore() {
        int width = 20_000_000;
        for (int i = 0; i < 5; i++) {
            RuntimeException e = assertThrows(
                    RuntimeException.class,
                    () -> LocalGroup.run(2, Watch.of(Duration.ofSeconds(20)), g -> {
                        try (Session _ = Session.open("cpu");
                                Pipeline pipeline =
                                        new Pipeline(g, Schedule.gpipe(2, 2), List.of(large(g.rank(), width)))) {
                            pipeline.run();
                        }
                    }));
            assertEquals("gone", e.getMessage());
        }
    }

    private static Part large(int rank, int width) {
        Tensor w = Tensor.zeros(Shape.of(1, width), DType.F32);
        Tensor leaf = w.leaf(Tensor.zeros(w.shape(), DType.F32), "w");
        return new Part(width, (x, i) -> {
            if (rank == 0 && i == 1) {
                LockSupport.parkNanos(5_000_000); // the copy takes longer
                throw new IllegalStateException("gone");
            }
            return rank == 0 ? Ops.scale(leaf, 2f) : Ops.sum(Objects.requireNonNull(x));
        });
    }

    @Test
    void aLossOfSeveralElements() {
        String message = "pipeline: the last stage returned [1, 4] F32; expected the loss, [1] F32";
        String told = "pipeline: rank 1 failed in the forward of micro-batch 0, chunk 0: " + message;
        assertEquals(
                List.of(told, message),
                failures(2, message, r -> r == 0 ? first() : new Part(WIDTH, (x, _) -> Ops.scale(x, 2f))));
    }

    @Test
    void aStageThatIgnoresItsInput() {
        String message = "pipeline: chunk 0 of rank 1 computes nothing from its input, whose gradient the stage before"
                + " waits for";
        List<String> thrown = failures(2, message, r -> {
            Tensor w = weight();
            return r == 0 ? first() : new Part(WIDTH, (_, _) -> Ops.sum(w));
        });
        String told = "pipeline: rank 1 failed in the backward of micro-batch 0, chunk 0: " + message;
        assertEquals(List.of(message, told), thrown);
    }

    @Test
    void stagesThatDoNotFit() {
        String message = "group: rank 0 sent [1, 4] F32, rank 1 receives [1, 5] F32";
        List<String> thrown = failures(2, message, r -> r == 0 ? first() : new Part(5, last().compute));
        assertTrue(thrown.stream().allMatch(t -> t.endsWith(message)), thrown.toString());
    }

    @Test
    void aScheduleForOtherRanks() {
        assertEquals(
                "pipeline: 1F1B of 2 ranks, 4 micro-batches on a group of 1 rank with 1 chunk each",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> new Pipeline(
                                        new SoloGroup(), Schedule.oneForwardOneBackward(2, 4), List.of(last())))
                        .getMessage());
        assertEquals(
                "pipeline: interleaved 1F1B of 1 ranks, 4 micro-batches, 2 chunks on each rank on a group of 1 rank"
                        + " with 1 chunk each",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> new Pipeline(new SoloGroup(), Schedule.interleaved(1, 4, 2), List.of(last())))
                        .getMessage());
    }
}
