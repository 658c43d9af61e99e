package io.jacquard.nccl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.jacquard.cuda.CudaBackend;
import io.jacquard.cuda.Garbage;
import io.jacquard.cuda.driver.Nccl;
import io.jacquard.cuda.driver.NcclStandIn;
import io.jacquard.cuda.driver.SideStream;
import io.jacquard.group.Flight;
import io.jacquard.group.Group;
import io.jacquard.group.GroupContract;
import io.jacquard.group.Operation;
import io.jacquard.group.Pending;
import io.jacquard.group.Watch;
import io.jacquard.line.HubLine;
import io.jacquard.line.RollCall;
import io.jacquard.line.Switchboard;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Graph;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

final class NcclGroupTest {
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

    /// All but what NCCL does not promise: the order of sums.
    @TestFactory
    Stream<DynamicTest> contract() {
        return GroupContract.cases().stream()
                .filter(c -> !c.ordered())
                .map(c -> DynamicTest.dynamicTest(c.name(), () -> {
                    NcclRanks.run(c.ranks(), c.work());
                    nothingIsLeft();
                }));
    }

    @Test
    void kernelsBesideACollectiveWaitForItWhenItIsJoined() {
        NcclRanks.run(2, g -> {
            Tensor t = Tensor.of(Shape.of(2), g.rank(), 5f);
            Tensor other = Tensor.zeros(Shape.of(2), DType.F32);
            t.kernels().axpby(t, 2f, t, 0f); // before it
            Pending sum = g.allReduce(t);
            other.kernels().fill(other, 3f); // beside it
            sum.join();
            other.kernels().axpby(other, 1f, t, 1f); // behind it
            sum.join();
            assertArrayEquals(new float[] {5f, 23f}, other.toFloats());
        });
    }

    /// On one rank nothing makes the emulated device run what nobody has waited for.
    @Test
    void theHostWaitsForNothing() {
        NcclRanks.run(1, g -> {
            Tensor t = Tensor.of(Shape.of(2), 1f, 2f);
            Tensor all = Tensor.zeros(Shape.of(2), DType.F32);
            Pending gathered = g.allGather(all, t);
            assertArrayEquals(new float[2], all.toFloats());
            gathered.join();
            assertArrayEquals(new float[] {1f, 2f}, all.toFloats());
        });
    }

    @Test
    void ticketsAreUsedInTurn() {
        NcclRanks.run(2, g -> {
            Tensor[] sums = new Tensor[3 * SideStream.TICKETS];
            Pending[] pendings = new Pending[sums.length];
            for (int i = 0; i < sums.length; i++) {
                sums[i] = Tensor.of(Shape.of(1), g.rank() * 1000f + i);
                pendings[i] = g.allReduce(sums[i]);
            }
            for (int i = sums.length - 1; i >= 0; i--) {
                pendings[i].join();
                assertEquals(1000f + 2 * i, sums[i].item());
            }
        });
    }

    @Test
    void whatIsNotJoinedInACaptureIsJoinedAtItsEnd() {
        NcclRanks.run(2, g -> {
            Tensor t = Tensor.of(Shape.of(1), 1f);
            Pending[] pending = new Pending[1];
            try (Graph graph = Session.current().capture(() -> {
                g.allReduce(t);
                pending[0] = g.allReduce(t);
            })) {
                pending[0].join(); // of no effect
                graph.replay();
                graph.replay();
                assertEquals(16f, t.item());
            }
        });
    }

    @Test
    void whatWasStartedBeforeACaptureIsNotJoinedInside() {
        String expected = "join: #1 all-reduce [1] F32 was started before the capture in which it is joined; join it"
                + " before the capture";
        assertEquals(List.of(expected, expected), NcclRanks.messages(2, g -> {
            Tensor t = Tensor.of(Shape.of(1), 1f);
            Pending before = g.allReduce(t);
            try {
                Session.current().capture(before::join).close();
            } finally {
                before.join();
                assertEquals(2f, t.item());
                g.barrier();
            }
        }));
    }

    @Test
    void groupedTakesMessagesOnly() {
        NcclRanks.run(2, g -> {
            Tensor t = Tensor.of(Shape.of(1), 1f);
            assertEquals(
                    "group: grouped() takes sends and receives only",
                    assertThrows(IllegalStateException.class, () -> g.grouped(() -> g.allReduce(t)))
                            .getMessage());
            assertEquals(
                    "group: grouped() inside grouped()",
                    assertThrows(IllegalStateException.class, () -> g.grouped(() -> g.grouped(() -> {})))
                            .getMessage());
            g.grouped(() -> {}).join();
            Pending[] inner = new Pending[2];
            Tensor got = Tensor.empty(Shape.of(1), DType.F32);
            g.grouped(() -> {
                inner[0] = g.send(t, 1 - g.rank());
                inner[1] = g.receive(got, 1 - g.rank());
            });
            inner[1].join();
            assertEquals(1f, got.item());
        });
    }

    /// NCCL would move as many bytes as there are elements, twice what they fill.
    @Test
    void elementsOfHalfAByteAreRefused() {
        String why =
                ": NCCL counts elements of whole bytes, and two of I4 share one; expected another dtype, such as I8";
        NcclRanks.run(2, g -> {
            Tensor part = Tensor.empty(Shape.of(4), DType.I4);
            Tensor all = Tensor.empty(Shape.of(8), DType.I4);
            int other = 1 - g.rank();
            Map<String, Runnable> operations = Map.of(
                    "all-gather [4] I4",
                    () -> g.allGather(all, part),
                    "broadcast of rank 1's [4] I4",
                    () -> g.broadcast(part, 1),
                    "all-to-all [4] I4",
                    () -> g.allToAll(part, part),
                    "send [4] I4 to rank " + other,
                    () -> g.send(part, other),
                    "receive [4] I4 from rank " + other,
                    () -> g.receive(part, other));
            operations.forEach((name, run) -> assertEquals(
                    "nccl: " + name + why,
                    assertThrows(IllegalArgumentException.class, run::run).getMessage()));
            Tensor t = Tensor.of(Shape.of(1), 1f);
            g.allReduce(t).join(); // the group goes on
            assertEquals(2f, t.item());
        });
    }

    @Test
    void aGroupThatIsClosedIsOfNoUse() {
        NcclRanks.run(2, g -> {
            Tensor t = Tensor.of(Shape.of(1), 1f);
            Group part = g.split(0);
            part.allReduce(t).join();
            assertEquals(4, NcclStandIn.communicators());
            g.barrier();
            part.close();
            g.barrier();
            assertEquals(2, NcclStandIn.communicators());
            assertEquals(
                    "group: closed",
                    assertThrows(IllegalStateException.class, () -> part.allReduce(t))
                            .getMessage());
            g.split(0); // nobody closes it: it ends with the whole
        });
    }

    /// Recorded, not run, as for launches. The flight recorder has a price of its own.
    @Test
    void puttingACollectiveOnTheStreamAllocatesNothing() {
        try (HubLine line = HubLine.open(new Switchboard(), 0, 1, Watch.DEFAULT, HubLine.START);
                Session session = Session.open("cuda")) {
            Communicators all = new Communicators(Nccl.get(), CudaBackend.gpu(session), line.activity(), 0);
            MemorySegment id = Arena.global().allocate(Nccl.ID_BYTES);
            all.nccl.uniqueId(id);
            Communicator c = all.opened(id, line);
            Tensor t = Tensor.zeros(Shape.of(8), DType.F32);
            Flight flight = new RollCall(line).begin(Operation.of(Operation.Kind.ALL_REDUCE, t));
            Garbage.none(work -> session.capture(work).close(), _ -> {
                all.begin(c, flight);
                int code = all.nccl.allReduce(t.address(), t.address(), 8, Nccl.FLOAT32, c.handle, c.stream());
                all.end(c, "ncclAllReduce", code).join();
            });
            all.close(false);
        }
    }

    @Test
    void theLibraryIsNamed() {
        NcclRanks.run(1, g -> assertEquals(NcclStandIn.path() + " (NCCL 2.30.7)", ((NcclGroup) g).library()));
    }
}
