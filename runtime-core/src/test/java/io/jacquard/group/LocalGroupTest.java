package io.jacquard.group;

import static io.jacquard.group.GroupContract.fails;
import static io.jacquard.group.GroupContract.sum;
import static io.jacquard.group.GroupContract.tensor;
import static io.jacquard.group.GroupContract.values;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(60)
final class LocalGroupTest {
    private static void ranks(int n, Consumer<Group> work) {
        LocalGroup.run(n, Watch.of(Duration.ofSeconds(20)), g -> {
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

    private static final Watch SHORT = new Watch(Duration.ofSeconds(1), Duration.ofSeconds(4), null);

    /// What the group throws, with its report, if `last` is what rank 1 does while the others reduce.
    private static IllegalStateException astray(Watch watch, Consumer<Group> last) {
        long start = System.nanoTime();
        IllegalStateException e = assertThrows(
                IllegalStateException.class,
                () -> LocalGroup.run(3, watch, g -> {
                    try (Session _ = Session.open("cpu")) {
                        g.allReduce(tensor(0, 3)).join();
                        if (g.rank() == 1) {
                            last.accept(g);
                        } else {
                            g.allReduce(tensor(0, 2)).join();
                        }
                    }
                }));
        assertTrue(System.nanoTime() - start < 30e9, "as late as that");
        return e;
    }

    /// Without the numbers that differ from run to run, and without the padding.
    private static String plain(String report) {
        return report.replaceAll("\\d+\\.\\d s\\b", "N s")
                .replaceAll("for \\d+ s\\b", "for N s")
                .replaceAll("java:\\d+", "java:N")
                .replaceAll(" +", " ");
    }

    private static final String TITLES = "\n ranks what for operation called at\n";
    private static final String OTHERS_WAIT = " 0, 2 waits in N s #2 all-reduce [2] F32 LocalGroupTest.java:N\n";
    private static final String AFTER = " after N s #1 all-reduce [3] F32 LocalGroupTest.java:N";

    @Test
    void aRankThatDoesNotComeIsNamed() {
        CountDownLatch end = new CountDownLatch(1);
        String report = plain(astray(SHORT, _ -> {
                    try {
                        end.await(10, TimeUnit.SECONDS); // the others have long failed
                    } catch (InterruptedException e) {
                        throw new AssertionError(e);
                    }
                })
                .getMessage());
        assertTrue(
                report.startsWith("group: nothing has moved for N s: rank 1 does not come" + TITLES + OTHERS_WAIT
                        + " 1 computes" + AFTER + "\n rank 1 is at LocalGroupTest.lambda$aRankThatDoesNotComeIsNamed$0"
                        + "(LocalGroupTest.java:N) < "),
                report);
    }

    @Test
    void aRankThatComputesInACircleIsNamed() {
        AtomicBoolean stop = new AtomicBoolean();
        LongAdder turns = new LongAdder();
        Watch patient = Watch.of(Duration.ofSeconds(1));
        Thread.ofPlatform().daemon().start(() -> {
            LockSupport.parkNanos(Duration.ofSeconds(15).toNanos());
            stop.set(true);
        });
        String report = plain(astray(patient, _ -> {
                    while (!stop.get()) {
                        turns.increment();
                    }
                })
                .getMessage());
        assertTrue(
                report.startsWith("group: nothing has moved for N s: rank 1 computes in a circle, without an operation,"
                        + " a tensor, input, output or a pause" + TITLES + OTHERS_WAIT + " 1 computes" + AFTER
                        + "\n rank 1 is at "),
                report);
    }

    @Test
    void aRankThatLeavesIsNamed() {
        assertEquals(
                "group: rank 1 has ended, but others wait for it" + TITLES + OTHERS_WAIT + " 1 ended" + AFTER,
                plain(astray(SHORT, _ -> {}).getMessage()));
    }

    @Test
    void ranksThatWaitForEachOtherAreNamed() {
        assertEquals(
                "group: nothing has moved for N s: all ranks wait for each other" + TITLES + OTHERS_WAIT
                        + " 1 waits in N s receive [3] F32 from rank 0 LocalGroupTest.java:N",
                plain(astray(SHORT, g -> g.receive(tensor(0, 3), 0).join()).getMessage()));
    }

    @ParameterizedTest
    @CsvSource({"barrier", "all-reduce [3] F32"})
    void ranksAtDifferentOperationsAreNamed(String operation) {
        assertEquals(
                "group: ranks came to different operations: ranks 0, 2 #2 all-reduce [2] F32; rank 1 #2 " + operation
                        + TITLES + OTHERS_WAIT + " 1 waits in N s #2 " + operation + " LocalGroupTest.java:N",
                plain(astray(SHORT, g -> {
                            if (operation.equals("barrier")) {
                                g.barrier();
                            } else {
                                g.allReduce(tensor(0, 3));
                            }
                        })
                        .getMessage()));
    }

    /// Of a part, with the numbers that ranks have in the whole.
    @Test
    void differentOperationsOfAPart() {
        String report = plain(assertThrows(
                        IllegalStateException.class,
                        () -> ranks(4, g -> {
                            Group part = g.split(g.rank() % 2);
                            if (g.rank() == 3) {
                                part.barrier();
                            }
                            part.allReduce(tensor(0, 1));
                            part.barrier();
                        }))
                .getMessage());
        assertTrue(
                report.startsWith("group: ranks came to different operations: rank 1 #1 all-reduce [1] F32; rank 3 #1"
                        + " barrier" + TITLES),
                report);
        assertTrue(report.contains("\n 3 waits in N s #1 barrier among ranks 1, 3 LocalGroupTest.java:N"), report);
    }

    @Test
    void aMessageThatNobodySendsOrReceives() {
        String ended = "group: rank 1 has ended, but others wait for it" + TITLES;
        assertEquals(
                ended + " 0 waits in N s send [2] F32 to rank 1 LocalGroupTest.java:N\n 1 ended N s no operation",
                plain(messages(g -> g.send(tensor(0, 2), 1).join())));
        assertEquals(
                ended + " 0 waits in N s receive [2] F32 from rank 1 LocalGroupTest.java:N and more"
                        + "\n 1 ended N s no operation",
                plain(messages(g -> {
                            g.receive(tensor(0, 2), 1);
                            g.receive(tensor(0, 2), 1).join();
                        }))
                        .replace("and 1 more LocalGroupTest.java:N", "LocalGroupTest.java:N and more"));
    }

    private static String messages(Consumer<Group> of0) {
        return assertThrows(
                        IllegalStateException.class,
                        () -> ranks(2, g -> {
                            if (g.rank() == 0) {
                                of0.accept(g);
                            }
                        }))
                .getMessage();
    }

    @Test
    void theFailureOfOneRankEndsTheOthers(@TempDir Path directory) throws IOException {
        String[] seen = new String[3];
        UncheckedFailure failure = assertThrows(
                UncheckedFailure.class,
                () -> LocalGroup.run(3, SHORT.in(directory), g -> {
                    try (Session _ = Session.open("cpu")) {
                        if (g.rank() == 2) {
                            LockSupport.parkNanos(300_000_000); // so that the others wait
                            throw new UncheckedFailure("disk full");
                        }
                        g.barrier();
                    } catch (IllegalStateException e) {
                        seen[g.rank()] = e.getMessage();
                        throw e;
                    }
                }));
        assertEquals("disk full", failure.getMessage());
        String told = "group: rank 2 of 3 failed: io.jacquard.group.LocalGroupTest$UncheckedFailure: disk full";
        assertArrayEquals(new String[] {told, told}, Arrays.copyOf(seen, 2));
        String report =
                told + TITLES + " 0, 1 waits in N s #1 barrier LocalGroupTest.java:N\n 2 failed N s no operation";
        assertEquals(report, plain(failure.getSuppressed()[0].getMessage()));
        String file = plain(Files.readString(directory.resolve(FlightReport.FILE)));
        assertTrue(file.startsWith(report + "\n\nbefore:\n rank 0 #1 barrier, not ended, called at "), file);
    }

    /// Between its end and its words, a rank that failed is not taken for one that has just ended.
    @Test
    void aRankThatFailedTellsWhyItself() throws InterruptedException {
        BlockingQueue<String> given = new LinkedBlockingQueue<>();
        Crew crew = new Crew(3, SHORT);
        crew.waits(0, () -> List.of(1));
        assertEquals(
                "group: rank 1 of 3 failed: io.jacquard.group.LocalGroupTest$UncheckedFailure: disk full",
                crew.fails(1, new UncheckedFailure("disk full")));
        crew.start(given::add);
        assertNull(given.poll(350, TimeUnit.MILLISECONDS)); // three looks
        crew.waits(0, () -> List.of(1, 2));
        crew.ends(2);
        assertEquals("group: rank 2 has ended, but others wait for it", given.poll(10, TimeUnit.SECONDS));
        assertThrows(UncheckedFailure.class, crew::end);
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
        String report = plain(assertThrows(
                        IllegalStateException.class,
                        () -> ranks(2, g -> {
                            if (g.rank() == 0) {
                                g.send(tensor(0, 4), 1).join();
                            } else {
                                g.receive(tensor(0, 5), 0).join();
                            }
                        }))
                .getMessage());
        assertTrue(report.startsWith("group: rank 0 sent [4] F32, rank 1 receives [5] F32" + TITLES), report);
        assertTrue(
                report.contains("\n 1 computes after N s receive [5] F32 from rank 0 LocalGroupTest.java:N\n"), report);
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
