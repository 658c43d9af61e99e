package io.jacquard.ranks;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.cuda.driver.Emulator;
import io.jacquard.cuda.driver.NcclStandIn;
import io.jacquard.group.Group;
import io.jacquard.group.LocalGroup;
import io.jacquard.group.Watch;
import io.jacquard.launch.Launch;
import io.jacquard.tensor.Device;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// Ranks with emulated GPUs, as a launcher would start them.
final class CudaRanksTest {
    private static final Watch WATCH = Watch.of(Duration.ofSeconds(2));

    @BeforeAll
    static void devices() {
        Emulator.configure("devices", "4");
    }

    @AfterAll
    static void oneDevice() {
        Emulator.configure("devices", "1");
    }

    @AfterEach
    void nothingIsLeft() {
        assertEquals(0, NcclStandIn.communicators());
    }

    private static Ranks ranks(Launch launch, String device, int here, Map<String, String> environment) {
        return new Ranks(launch, Device.parse(device), here, environment, WATCH, (_, _) -> {});
    }

    /// Every rank adds its number and its device's.
    private static Consumer<Group> sum(Map<Integer, String> seen) {
        return g -> {
            Tensor t = Tensor.of(Shape.of(1), 1f + g.rank());
            g.allReduce(t).join();
            seen.put(g.rank(), Session.current().device() + " " + g.size() + " " + t.item());
        };
    }

    @Test
    void aThreadForEachGpu() {
        Map<Integer, String> seen = new ConcurrentSkipListMap<>();
        Ranks.run(Launch.SOLO, "cuda", 3, WATCH, sum(seen));
        assertEquals(Map.of(0, "cuda:0 3 6.0", 1, "cuda:1 3 6.0", 2, "cuda:2 3 6.0"), seen);
    }

    @Test
    void oneRankNeedsNoLibrary() {
        Map<Integer, String> seen = new ConcurrentSkipListMap<>();
        Ranks.run(Launch.SOLO, "cuda:2", 1, WATCH, sum(seen));
        assertEquals(Map.of(0, "cuda:2 1 1.0"), seen);
    }

    /// Threads that stand for processes: they know of each other what torchrun says, and talk by HTTP.
    private static void processes(int count, int here, Consumer<Group> work) throws IOException {
        int port;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort() - 1;
        }
        LocalGroup.run(count, local -> {
            Launch launch = Launch.of(Map.of(
                    "RANK", Integer.toString(local.rank()),
                    "WORLD_SIZE", Integer.toString(count),
                    "LOCAL_RANK", Integer.toString(local.rank()),
                    "LOCAL_WORLD_SIZE", Integer.toString(count),
                    "MASTER_ADDR", "127.0.0.1",
                    "MASTER_PORT", Integer.toString(port)));
            ranks(launch, "cuda", here, Map.of("TORCHELASTIC_RUN_ID", "none")).run(work);
        });
    }

    @Test
    void aProcessForEachGpu() throws IOException {
        Map<Integer, String> seen = new ConcurrentSkipListMap<>();
        processes(2, 1, sum(seen));
        assertEquals(Map.of(0, "cuda:0 2 3.0", 1, "cuda:1 2 3.0"), seen);
    }

    @Test
    void processesWithSeveralThreads() throws IOException {
        Map<Integer, String> seen = new ConcurrentSkipListMap<>();
        processes(2, 2, sum(seen));
        assertEquals(Map.of(0, "cuda:0 4 10.0", 1, "cuda:1 4 10.0", 2, "cuda:2 4 10.0", 3, "cuda:3 4 10.0"), seen);
    }

    private static final class DiskFull extends RuntimeException {
        private static final long serialVersionUID = 1;

        DiskFull() {
            super("disk full");
        }
    }

    @Test
    void theFailureOfOneRankEndsTheOthers() throws IOException {
        @Nullable String[] told = new String[2];
        DiskFull failure = assertThrows(
                DiskFull.class,
                () -> processes(2, 1, g -> {
                    Tensor t = Tensor.of(Shape.of(1), 1f);
                    g.allReduce(t).join();
                    g.barrier();
                    if (g.rank() == 1) {
                        throw new DiskFull();
                    }
                    try {
                        g.allReduce(t).join();
                        t.toFloats();
                    } catch (IllegalStateException e) {
                        told[g.rank()] = e.getMessage();
                        throw new DiskFull();
                    }
                }));
        assertEquals("disk full", failure.getMessage());
        assertArrayEquals(
                new @Nullable String[] {"group: rank 1 of 2 failed: " + DiskFull.class.getName() + ": disk full", null},
                told);
    }

    @Test
    void ranksThatShareAGpuNeedAnotherEngine() {
        assertEquals(
                "ranks: 5 ranks in this process, and it sees 4 cuda devices; NCCL wants one for each: start fewer, or set"
                        + " JACQUARD_GROUP=local, whose ranks share a device",
                assertThrows(IllegalArgumentException.class, () -> Ranks.run(Launch.SOLO, "cuda", 5, WATCH, g -> {}))
                        .getMessage());
        Map<Integer, String> seen = new ConcurrentSkipListMap<>();
        ranks(Launch.SOLO, "cuda:1", 2, Map.of(Ranks.VARIABLE, "local")).run(sum(seen));
        assertEquals(Map.of(0, "cuda:1 2 3.0", 1, "cuda:1 2 3.0"), seen);
        assertNull(System.getProperty(Ranks.PROPERTY));
    }

    @Test
    void twoRanksOnOneDeviceAreRefusedByNccl() throws IOException {
        Emulator.configure("devices", "1");
        try {
            IllegalStateException e = assertThrows(IllegalStateException.class, () -> processes(2, 1, g -> {}));
            assertTrue(
                    e.getMessage()
                            .matches("nccl: rank [01]: of 2 on cuda:0: nccl: ncclCommInitRankConfig: (invalid usage"
                                    + " .5.: Duplicate GPU detected : rank [01] and rank [01] both on CUDA device 0|remote"
                                    + " process exited or there was a network error .6.: another rank has left)"),
                    e.getMessage());
        } finally {
            Emulator.configure("devices", "4");
        }
    }
}
