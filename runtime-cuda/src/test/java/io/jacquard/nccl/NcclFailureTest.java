package io.jacquard.nccl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.jacquard.cuda.driver.NcclStandIn;
import io.jacquard.group.FlightReport;
import io.jacquard.group.Group;
import io.jacquard.group.Watch;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What ranks say when something goes wrong, and that none of them hangs.
final class NcclFailureTest {
    @TempDir
    private Path folder;

    @BeforeAll
    static void devices() {
        NcclRanks.devices(4);
    }

    @AfterAll
    static void oneDevice() {
        NcclRanks.devices(1);
    }

    @AfterEach
    void nothingIsLeft() {
        assertEquals(0, NcclStandIn.communicators());
    }

    private static Tensor ones(int size) {
        float[] values = new float[size];
        Arrays.fill(values, 1f);
        return Tensor.of(Shape.of(size), values);
    }

    /// Until the group fails.
    private static void reduceForEver(Group g, Tensor t) {
        while (true) {
            g.allReduce(t).join();
            Session.current().synchronize();
        }
    }

    private static void allSay(String expected, List<String> messages) {
        for (String m : messages) {
            assertEquals(expected, m.replaceAll("for \\d+ s", "for N s"), messages.toString());
        }
    }

    /// Who waits where: the rows of the report, without times and places.
    private List<String> report() throws IOException {
        return Files.readAllLines(folder.resolve(FlightReport.FILE)).stream()
                .dropWhile(l -> !l.strip().startsWith("ranks"))
                .skip(1)
                .takeWhile(l -> l.startsWith("  "))
                .map(l -> l.strip().split(" {2,}", -1))
                .map(cells -> cells[0] + " " + cells[1] + " " + cells[3])
                .toList();
    }

    private static final String WAIT = "group: nothing has moved for N s: all ranks wait for each other";

    @Test
    void ranksThatWaitForEachOtherAreFound() throws IOException {
        allSay(WAIT, NcclRanks.messages(2, folder, g -> {
            Tensor t = ones(4);
            g.receive(t, 1 - g.rank()).join();
            t.toFloats();
        }));
        assertEquals(
                List.of("0 waits in receive [4] F32 from rank 1", "1 waits in receive [4] F32 from rank 0"), report());
    }

    /// Operations that were met before: nobody calls the roll.
    @Test
    void differentOperationsAreFoundWhenTheyWaitForEachOther() throws IOException {
        allSay(WAIT, NcclRanks.messages(2, folder, g -> {
            Tensor four = ones(4);
            Tensor six = ones(6);
            g.allReduce(four).join();
            g.allReduce(six).join();
            g.allReduce(g.rank() == 0 ? four : six).join();
            Session.current().synchronize();
        }));
        assertEquals(List.of("0 waits in #3 all-reduce [4] F32", "1 waits in #3 all-reduce [6] F32"), report());
    }

    @Test
    void partsAreNamed() throws IOException {
        allSay(WAIT, NcclRanks.messages(4, folder, g -> {
            Group part = g.split(g.rank() % 2);
            if (g.rank() % 2 == 0) {
                g.barrier();
            } else {
                Tensor t = ones(4);
                part.receive(t, part.rank() == 0 ? 1 : 0).join();
                t.toFloats();
            }
        }));
        assertEquals(
                List.of(
                        "0, 2 waits in #2 barrier",
                        "1 waits in receive [4] F32 from rank 1 among ranks 1, 3",
                        "3 waits in receive [4] F32 from rank 0 among ranks 1, 3"),
                report());
    }

    @Test
    void errorsThatNcclFindsEndAllRanks() {
        CountDownLatch running = new CountDownLatch(2);
        Thread trouble = Thread.ofPlatform().start(() -> {
            try {
                running.await();
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
            NcclStandIn.asyncError(6);
        });
        List<String> messages = NcclRanks.messages(2, g -> {
            Tensor t = ones(4);
            g.allReduce(t).join();
            running.countDown();
            reduceForEver(g, t);
        });
        for (String m : messages) { // each finds it by itself, unless it has heard
            assertEquals(
                    "nccl: rank R after #N all-reduce [4] F32: remote process exited or there was a network error (6)",
                    m.replaceAll("rank [01]", "rank R").replaceAll("#\\d+", "#N"));
        }
        assertFalse(trouble.isAlive());
    }

    @Test
    void aCallThatNcclRefusesEndsAllRanks() {
        allSay(
                "nccl: rank 1: ncclAllReduce behind #2 all-reduce [6] F32: internal error (3): as the test wants it for"
                        + " ncclAllReduce",
                NcclRanks.messages(2, g -> {
                    Tensor t = ones(4);
                    g.allReduce(t).join();
                    g.allReduce(ones(6)).join();
                    g.barrier();
                    if (g.rank() == 1) {
                        NcclStandIn.fail("ncclAllReduce", 3);
                    } else {
                        LockSupport.parkNanos(200_000_000);
                    }
                    reduceForEver(g, t);
                }));
    }

    /// The other waits for its device, in a collective that will never be done, and must not read what it left.
    @Test
    void anAbortEndsWhatRunsOnTheDevices() {
        allSay("no more data", NcclRanks.messages(2, g -> {
            Tensor t = ones(4);
            g.allReduce(t).join();
            g.barrier();
            if (g.rank() == 0) {
                g.allReduce(t).join();
                t.toFloats();
            } else {
                LockSupport.parkNanos(300_000_000);
                g.abort("no more data");
                g.barrier();
            }
        }));
    }

    @Test
    void anAbortReachesGraphs() {
        allSay("no more data", NcclRanks.messages(2, g -> {
            Tensor t = ones(4);
            try (var graph = Session.current().capture(() -> g.allReduce(t).join())) {
                graph.replay();
                g.barrier();
                if (g.rank() == 0) {
                    graph.replay();
                    t.toFloats();
                } else {
                    LockSupport.parkNanos(300_000_000);
                    g.abort("no more data");
                    g.barrier();
                }
            }
        }));
    }

    /// Nobody sees into a graph, so the patience must be over.
    @Test
    void ranksThatWaitForEachOtherInAGraphAreFoundInTheEnd() {
        Watch watch = new Watch(Duration.ofSeconds(1), Duration.ofSeconds(3), null);
        allSay("group: nothing has moved for N s: ranks 0, 1 do not come", NcclRanks.messages(2, watch, g -> {
            Tensor t = ones(4);
            try (var graph =
                    Session.current().capture(() -> g.receive(t, 1 - g.rank()).join())) {
                graph.replay();
                t.toFloats();
            }
        }));
    }

    @Test
    void aRankThatLeavesIsNamed() {
        allSay(
                "group: ranks came to different operations: rank 0 #1 all-reduce [4] F32; rank 1 #1 close",
                NcclRanks.messages(2, g -> {
                    if (g.rank() == 0) {
                        g.allReduce(ones(4));
                    }
                }));
    }

    // ---- at the start

    @Test
    void aCommunicatorThatNcclRefusesIsSaid() {
        NcclStandIn.fail("ncclCommInitRankConfig", 2);
        allSay(
                "nccl: rank 0: of 1 on cuda:0: nccl: ncclCommInitRankConfig: unhandled system error (2): as the test wants"
                        + " it for ncclCommInitRankConfig",
                NcclRanks.messages(1, g -> {}));
    }

    @Test
    void aPartThatNcclRefusesIsSaid() {
        allSay(
                "nccl: rank 0: nccl: ncclCommSplit: internal error (3): as the test wants it for ncclCommSplit",
                NcclRanks.messages(1, g -> {
                    NcclStandIn.fail("ncclCommSplit", 3);
                    g.split(0);
                }));
    }

    @Test
    void allMustHaveTheSameVersion() {
        NcclGroup.sameVersion(new int[] {22703, 22703}, "/a/libnccl.so.2");
        assertEquals(
                "nccl: rank 0 has version 2.27.3, rank 2 has 2.30; all must have the same (here it is /a/libnccl.so.2)",
                assertThrows(
                                IllegalStateException.class,
                                () -> NcclGroup.sameVersion(new int[] {22703, 22703, 23000}, "/a/libnccl.so.2"))
                        .getMessage());
    }
}
