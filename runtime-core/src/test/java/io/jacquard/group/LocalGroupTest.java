package io.jacquard.group;

import static io.jacquard.group.GroupContract.fails;
import static io.jacquard.group.GroupContract.sum;
import static io.jacquard.group.GroupContract.tensor;
import static io.jacquard.group.GroupContract.values;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(60)
final class LocalGroupTest {
    private static void ranks(int n, Consumer<Group> work) {
        LocalGroup.run(n, Duration.ofSeconds(20), g -> {
            try (Session _ = Session.open("cpu")) {
                work.accept(g);
            }
        });
    }

    @TestFactory
    Stream<DynamicTest> contract() {
        return GroupContract.cases().stream()
                .map(c -> DynamicTest.dynamicTest(c.name(), () -> ranks(c.ranks(), c.work())));
    }

    @ParameterizedTest
    @CsvSource({"5,7", "8,1000"})
    void allReduceOfMoreRanks(int n, int size) {
        ranks(n, g -> {
            Tensor t = tensor(g.rank(), size);
            g.allReduce(t).join();
            assertArrayEquals(sum(n, size), t.toFloats());
        });
    }

    @Test
    void nobodyPassesABarrierBeforeAllHaveCome() {
        AtomicIntegerArray came = new AtomicIntegerArray(4);
        ranks(4, g -> {
            for (int i = 1; i <= 50; i++) {
                came.set(g.rank(), i);
                g.barrier();
                for (int r = 0; r < 4; r++) {
                    assertTrue(came.get(r) >= i, "rank " + r + " was left behind");
                }
            }
        });
    }

    // ---- when things go wrong

    @Test
    void aRankThatDoesNotComeIsNamed() {
        CountDownLatch end = new CountDownLatch(1);
        fails(
                "group: rank 1 did not come to all-reduce [2] F32 within 1 s; last operations: rank 0 #2"
                        + " all-reduce [2] F32; rank 1 #1 barrier; rank 2 #2 all-reduce [2] F32",
                IllegalStateException.class,
                () -> LocalGroup.run(3, Duration.ofSeconds(1), g -> {
                    try (Session _ = Session.open("cpu")) {
                        g.barrier();
                        if (g.rank() == 1) {
                            end.await();
                        } else {
                            try {
                                g.allReduce(tensor(0, 2));
                            } finally {
                                end.countDown();
                            }
                        }
                    } catch (InterruptedException e) {
                        throw new AssertionError(e);
                    }
                }));
    }

    @Test
    void theFailureOfOneRankEndsTheOthers() {
        String[] seen = new String[3];
        fails(
                "disk full",
                UncheckedFailure.class,
                () -> ranks(3, g -> {
                    if (g.rank() == 2) {
                        throw new UncheckedFailure("disk full");
                    }
                    try {
                        g.barrier();
                    } catch (IllegalStateException e) {
                        seen[g.rank()] = e.getMessage();
                        throw e;
                    }
                }));
        String told = "group: rank 2 failed: disk full";
        assertArrayEquals(new String[] {told, told}, Arrays.copyOf(seen, 2));
    }

    private static final class UncheckedFailure extends RuntimeException {
        private static final long serialVersionUID = 1;

        UncheckedFailure(String message) {
            super(message);
        }
    }

    @Test
    void aFailureReachesSplitGroups() {
        fails(
                "no luck",
                RuntimeException.class,
                () -> ranks(4, g -> {
                    Group half = g.split(g.rank() / 2);
                    if (g.rank() == 3) {
                        throw new UncheckedFailure("no luck");
                    }
                    half.barrier();
                    half.barrier();
                }));
    }

    @Test
    void messagesThatDoNotFitAreRefused() {
        fails(
                "group: rank 0 sent [4] F32, rank 1 receives [5] F32",
                RuntimeException.class,
                () -> ranks(2, g -> {
                    if (g.rank() == 0) {
                        g.send(tensor(0, 4), 1).join();
                    } else {
                        g.receive(tensor(0, 5), 0).join();
                    }
                }));
    }

    @Test
    void aGroupOfOneNeedsNobody() {
        try (Session _ = Session.open("cpu");
                Group g = new SoloGroup()) {
            Tensor t = tensor(0, 4);
            g.allReduce(t).join();
            Tensor out = Tensor.empty(Shape.of(4), DType.F32);
            g.reduceScatter(out, t).join();
            g.allGather(t, out).join();
            g.barrier();
            assertArrayEquals(values(0, 4), t.toFloats());
            assertEquals(1, g.split(3).size());
            fails("send: there is no rank 0 but this one", RuntimeException.class, () -> g.send(t, 0));
        }
    }
}
