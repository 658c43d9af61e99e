package io.jacquard.group;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Graph;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
final class LocalGroupTest {
    private static void ranks(int n, Consumer<Group> work) {
        LocalGroup.run(n, Duration.ofSeconds(20), g -> {
            try (Session _ = Session.open("cpu")) {
                work.accept(g);
            }
        });
    }

    private static float[] values(int rank, int size) {
        float[] v = new float[size];
        for (int i = 0; i < size; i++) {
            v[i] = (float) Math.sin(17 * rank + i + 1);
        }
        return v;
    }

    private static Tensor tensor(int rank, int size) {
        return Tensor.of(Shape.of(size), values(rank, size));
    }

    /// The F32 sum over ranks, rank 0 first.
    private static float[] sum(int ranks, int size) {
        float[] s = values(0, size);
        for (int r = 1; r < ranks; r++) {
            float[] v = values(r, size);
            for (int i = 0; i < size; i++) {
                s[i] += v[i];
            }
        }
        return s;
    }

    @ParameterizedTest
    @CsvSource({"1,5", "2,1", "2,7", "3,2", "3,256", "4,1023", "8,1000", "2,1100003"})
    void allReduceAddsInTheOrderOfRanks(int n, int size) {
        ranks(n, g -> {
            Tensor t = tensor(g.rank(), size);
            g.allReduce(t).join();
            assertArrayEquals(sum(n, size), t.toFloats());
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 5})
    void reduceScatterAndAllGatherMakeAnAllReduce(int n) {
        ranks(n, g -> {
            int part = 33;
            Tensor in = tensor(g.rank(), n * part);
            Tensor out = Tensor.empty(Shape.of(part), DType.F32);
            g.reduceScatter(out, in).join();
            assertArrayEquals(values(g.rank(), n * part), in.toFloats()); // an operand of its own is kept
            Tensor all = Tensor.empty(Shape.of(n * part), DType.F32);
            g.allGather(all, out).join();
            assertArrayEquals(sum(n, n * part), all.toFloats());
        });
    }

    @Test
    void inPlaceFormsUseTheRanksOwnPart() {
        ranks(3, g -> {
            Tensor t = tensor(g.rank(), 30);
            Tensor mine = t.slice(10L * g.rank(), Shape.of(10));
            g.reduceScatter(mine, t).join();
            g.allGather(t, mine).join();
            assertArrayEquals(sum(3, 30), t.toFloats());
        });
    }

    @Test
    void sumsOfSixteenBitsAreRoundedOnce() {
        ranks(4, g -> {
            // 256 + 1 is 256 in bf16; the sum of 256, 1, 1, 1 rounds to 260 (spacing 2, ties to even)
            Tensor f = Tensor.of(Shape.of(4), g.rank() == 0 ? new float[] {256, 1, 1, 1} : new float[] {1, 1, 1, 1});
            Tensor t = Tensor.empty(Shape.of(4), DType.BF16);
            t.kernels().cast(t, f);
            g.allReduce(t).join();
            assertArrayEquals(new float[] {260f, 4f, 4f, 4f}, t.toFloats());
        });
    }

    @Test
    void broadcastCopiesOfAnyType() {
        ranks(3, g -> {
            Tensor t = Tensor.of(Shape.of(3), 10 * g.rank(), 10 * g.rank() + 1, 10 * g.rank() + 2);
            g.broadcast(t, 1).join();
            assertArrayEquals(new int[] {10, 11, 12}, t.toInts());
        });
    }

    @Test
    void allToAllTransposesParts() {
        ranks(3, g -> {
            int r = 10 * g.rank();
            Tensor in = Tensor.of(Shape.of(6), r, r, r + 1, r + 1, r + 2, r + 2);
            Tensor out = Tensor.empty(Shape.of(6), DType.I32);
            g.allToAll(out, in).join();
            int k = g.rank();
            assertArrayEquals(new int[] {k, k, 10 + k, 10 + k, 20 + k, 20 + k}, out.toInts());
        });
    }

    @Test
    void aRingSendsAndReceivesAtOnce() {
        ranks(4, g -> {
            Tensor mine = tensor(g.rank(), 9);
            Tensor got = Tensor.empty(Shape.of(9), DType.F32);
            g.grouped(() -> {
                g.send(mine, (g.rank() + 1) % 4);
                g.receive(got, (g.rank() + 3) % 4);
            });
            assertArrayEquals(values((g.rank() + 3) % 4, 9), got.toFloats());
        });
    }

    @Test
    void aChainSendsOneAfterTheOther() {
        ranks(3, g -> {
            Tensor t = tensor(0, 5);
            if (g.rank() > 0) {
                t.kernels().fill(t, -1f);
                g.receive(t, g.rank() - 1);
            }
            if (g.rank() < 2) {
                g.send(t, g.rank() + 1);
            }
            assertArrayEquals(values(0, 5), t.toFloats());
        });
    }

    @Test
    void splitMakesGroupsThatWorkOnTheirOwn() {
        ranks(5, g -> {
            Group part = g.split(g.rank() % 2);
            assertEquals(g.rank() % 2 == 0 ? 3 : 2, part.size());
            assertEquals(g.rank() / 2, part.rank());
            Tensor t = Tensor.of(Shape.of(1), (float) g.rank());
            part.allReduce(t).join();
            assertEquals(g.rank() % 2 == 0 ? 6f : 4f, t.item());
            Group again = g.split(7);
            assertEquals(5, again.size());
            assertEquals(g.rank(), again.rank());
        });
    }

    @Test
    void aRecordedCollectiveRunsAtEveryReplay() {
        ranks(2, g -> {
            Tensor t = Tensor.of(Shape.of(3), 1f, 2f, 3f);
            try (Scope _ = Scope.openArena("recorded", 1 << 16);
                    Graph graph = Session.current().capture(() -> {
                        t.kernels().axpby(t, g.rank() + 1f, t, 0f);
                        g.allReduce(t).join();
                    })) {
                graph.replay(); // 1 + 2 of it
                graph.replay();
                assertArrayEquals(new float[] {9f, 18f, 27f}, t.toFloats());
            }
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

    private static void fails(String message, Class<? extends RuntimeException> type, Executable call) {
        assertEquals(message, assertThrows(type, call).getMessage());
    }

    @Test
    void differentOperationsAreNamed() {
        fails(
                "group: ranks came to different operations: rank 0 #2 all-reduce [4] F32; rank 1 #2"
                        + " all-reduce [6] F32",
                IllegalStateException.class,
                () -> ranks(2, g -> {
                    Tensor t = tensor(0, g.rank() == 0 ? 4 : 6);
                    g.barrier();
                    g.allReduce(t);
                }));
    }

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
                        g.send(tensor(0, 4), 1);
                    } else {
                        g.receive(tensor(0, 5), 0);
                    }
                }));
    }

    @Test
    void wrongOperandsAreRefused() {
        ranks(2, g -> {
            Tensor four = tensor(0, 4);
            Tensor ints = Tensor.of(Shape.of(1), 3);
            fails(
                    "allReduce: [1] I32 cannot be summed over ranks; expected F32, BF16 or F16",
                    RuntimeException.class,
                    () -> g.allReduce(ints));
            fails(
                    "reduceScatter: [4] F32 is not 2 times [4] F32; expected 8 elements of F32",
                    RuntimeException.class,
                    () -> g.reduceScatter(four, four));
            fails(
                    "allGather: [4] F32 is not 2 times [4] F32; expected 8 elements of F32",
                    RuntimeException.class,
                    () -> g.allGather(four, four));
            fails(
                    "allToAll: out [4] F32, in [5] F32; expected as many elements of the same dtype, a"
                            + " multiple of the 2 ranks",
                    RuntimeException.class,
                    () -> g.allToAll(four, tensor(0, 5)));
            fails("broadcast: there is no rank 2; expected 0 to 1", RuntimeException.class, () -> g.broadcast(four, 2));
            fails("send: rank " + g.rank() + " is this rank", RuntimeException.class, () -> g.send(four, g.rank()));
        });
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
