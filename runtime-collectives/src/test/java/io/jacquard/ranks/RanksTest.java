package io.jacquard.ranks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.group.Watch;
import io.jacquard.launch.Launch;
import io.jacquard.launch.Launch.Address;
import io.jacquard.launch.Launcher;
import io.jacquard.mpi.Mpirun;
import io.jacquard.mpi.Mpirun.Ended;
import io.jacquard.tensor.Device;
import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.Session;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

final class RanksTest {
    private static final Watch WATCH = Watch.of(Duration.ofSeconds(5));

    private static Ranks ranks(Launch launch, String device, int here, String... environment) {
        Map<String, String> map = new HashMap<>();
        for (int i = 0; i < environment.length; i += 2) {
            map.put(environment[i], environment[i + 1]);
        }
        return new Ranks(launch, Device.parse(device), here, map, WATCH, (_, _) -> {});
    }

    private static Launch launch(Launcher launcher, int rank, int size) {
        return new Launch(launcher, rank, size, rank, size, null, "RANK=" + rank);
    }

    private static void refuses(String message, Class<? extends RuntimeException> type, Ranks ranks) {
        assertEquals(message, assertThrows(type, () -> ranks.run(g -> {})).getMessage());
    }

    @Test
    void oneRankIsAlone() {
        Ranks.run(Launch.SOLO, "cpu", 1, WATCH, g -> {
            assertEquals(1, g.size());
            assertEquals(new Device("cpu", 0), Session.current().device());
        });
    }

    @Test
    void severalRanksOfOneProcessAreThreads() {
        Set<String> seen = new ConcurrentSkipListSet<>();
        Ranks.run(Launch.SOLO, "cpu", 3, WATCH, g -> {
            g.barrier();
            seen.add(g.getClass().getSimpleName() + " " + g.rank() + " of " + g.size());
        });
        assertEquals(Set.of("LocalGroup 0 of 3", "LocalGroup 1 of 3", "LocalGroup 2 of 3"), seen);
    }

    @Test
    void whatDoesNotGoTogetherIsRefused() {
        Class<IllegalArgumentException> type = IllegalArgumentException.class;
        assertEquals(
                "ranks: 0 ranks in a process; expected at least 1",
                assertThrows(type, () -> Ranks.run(Launch.SOLO, "cpu", 0, WATCH, g -> {}))
                        .getMessage());
        refuses(
                "ranks: there is no engine 'gloo' for JACQUARD_GROUP; expected local, mpi or nccl",
                type,
                ranks(Launch.SOLO, "cpu", 2, "JACQUARD_GROUP", "gloo"));
        refuses(
                "ranks: the engine local joins the ranks of one process; this is rank 0 of 2, says srun (RANK=0); start one"
                        + " process, or set JACQUARD_GROUP=mpi",
                type,
                ranks(launch(Launcher.SLURM, 0, 2), "cpu", 1, "JACQUARD_GROUP", "local"));
        refuses(
                "ranks: the engine mpi has one rank in a process, not 3; start 6 processes",
                type,
                ranks(launch(Launcher.SLURM, 0, 2), "cpu", 3));
        refuses(
                "ranks: 2 ranks in this process, and it sees 0 tpu devices; NCCL wants one for each: start fewer, or set"
                        + " JACQUARD_GROUP=local, whose ranks share a device",
                type,
                ranks(Launch.SOLO, "tpu", 2));
        refuses(
                "ranks: rank 0 of 2, says torchrun (RANK, WORLD_SIZE) (RANK=0), and nothing says where rank 0 is: set"
                        + " MASTER_ADDR and MASTER_PORT, or NCCL_COMM_ID, or start the ranks with torchrun, mpirun or"
                        + " srun",
                type,
                ranks(launch(Launcher.TORCHRUN, 0, 2), "cpu", 1, "JACQUARD_GROUP", "nccl"));
        refuses(
                "ranks: NCCL_COMM_ID=here is no address; expected HOST:PORT",
                type,
                ranks(launch(Launcher.TORCHRUN, 0, 2), "cpu", 1, "JACQUARD_GROUP", "nccl", "NCCL_COMM_ID", "here"));
    }

    @Test
    void aDeviceWithoutEngineIsSaid() {
        assertEquals(
                "ranks: no engine for groups of cuda devices on the class path; add jacquard-cuda, or JACQUARD_CUDA=1 for"
                        + " ./jacquard; on the CPU set JACQUARD_GROUP=local or mpi",
                assertThrows(DeviceException.class, () -> Ranks.engine("cuda")).getMessage());
    }

    // ---- where ranks meet

    @Test
    void theHubIsBehindTheLaunchersPort() {
        Launch torchrun = Launch.of(Map.of("RANK", "1", "WORLD_SIZE", "2", "MASTER_ADDR", "a", "MASTER_PORT", "29400"));
        assertEquals(new Address("a", 29401), Rendezvous.address(torchrun, Map.of("NCCL_COMM_ID", "b:1")));
        Launch byHand = Launch.of(Map.of("RANK", "1", "WORLD_SIZE", "2"));
        assertEquals(new Address("b", 2), Rendezvous.address(byHand, Map.of("NCCL_COMM_ID", "b:1")));
    }

    @Test
    void jobsAndTheirTriesHaveTokensOfTheirOwn() {
        assertEquals("job", Rendezvous.token(Map.of()));
        assertEquals("mine", Rendezvous.token(Map.of("JACQUARD_JOB", "mine")));
        assertEquals(
                "run.1.4711.0",
                Rendezvous.token(Map.of(
                        "TORCHELASTIC_RUN_ID", "run",
                        "TORCHELASTIC_RESTART_COUNT", "1",
                        "SLURM_JOB_ID", "4711",
                        "SLURM_STEP_ID", "0")));
    }

    @Test
    void mpiCarriesWhatItsOwnProcessesSay() {
        assertEquals(true, Rendezvous.isByMpi(launch(Launcher.OPEN_MPI, 0, 2), Map.of()));
        assertEquals(true, Rendezvous.isByMpi(launch(Launcher.MPICH, 0, 2), Map.of()));
        assertEquals(true, Rendezvous.isByMpi(launch(Launcher.SLURM, 0, 2), Map.of("PMIX_RANK", "0")));
        assertEquals(false, Rendezvous.isByMpi(launch(Launcher.SLURM, 0, 2), Map.of()));
        assertEquals(false, Rendezvous.isByMpi(launch(Launcher.TORCHRUN, 0, 2), Map.of("PMIX_RANK", "0")));
    }

    // ---- real processes

    private static List<Ended> processes(int count, String... arguments)
            throws IOException, InterruptedException, ExecutionException {
        int port;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort() - 1;
        }
        List<Future<Ended>> running = new ArrayList<>();
        try (ExecutorService threads = Executors.newFixedThreadPool(count)) {
            for (int r = 0; r < count; r++) {
                Map<String, String> environment = Map.of(
                        "RANK", Integer.toString(r),
                        "WORLD_SIZE", Integer.toString(count),
                        "LOCAL_RANK", Integer.toString(r),
                        "LOCAL_WORLD_SIZE", Integer.toString(count),
                        "MASTER_ADDR", "127.0.0.1",
                        "MASTER_PORT", Integer.toString(port),
                        "JACQUARD_GROUP", "nccl");
                running.add(threads.submit(() -> Mpirun.run(Mpirun.java(RankOfRun.class, arguments), environment)));
            }
        }
        List<Ended> ended = new ArrayList<>();
        for (Future<Ended> process : running) {
            ended.add(process.get());
        }
        return ended;
    }

    @Test
    void processesMeetByHttp() throws Exception {
        List<Ended> ended = processes(2, "1", "end");
        for (int r = 0; r < 2; r++) {
            Ended e = ended.get(r);
            assertEquals(0, e.code(), e.output());
            assertEquals(List.of("rank " + r + " on cpu:0: [100, 101] part rank " + r), e.lines("rank "), e.output());
            assertEquals(List.of("joined by SoloGroup: 0 of 1"), e.lines("joined"), e.output());
            assertEquals(List.of("end"), e.lines("end"), e.output());
        }
    }

    @Test
    void aProcessThatFailsEndsTheOthers() throws Exception {
        List<Ended> ended = processes(2, "1", "fail");
        assertTrue(
                ended.get(1).output().contains("java.lang.IllegalArgumentException: no more data"), ended.toString());
        assertNotEquals(0, ended.get(1).code());
    }

    @ParameterizedTest
    @EnumSource(Mpirun.class)
    @Tag("mpi")
    void processesMeetByMpi(Mpirun mpirun) {
        Ended ended = mpirun.run(2, Map.of("JACQUARD_GROUP", "nccl"), RankOfRun.class, "1", "end");
        assertEquals(0, ended.code(), ended.output());
        for (int r = 0; r < 2; r++) {
            assertEquals(
                    1,
                    ended.lines("rank " + r + " on cpu:0: [100, 101] part rank " + r)
                            .size(),
                    ended.output());
        }
        assertEquals(2, ended.lines("end").size(), ended.output());
    }

    @Test
    @Tag("mpi")
    void anErrorEndsAllProcessesOfMpi() {
        Ended ended = Mpirun.OPEN_MPI.run(2, Map.of("JACQUARD_GROUP", "nccl"), RankOfRun.class, "1", "fail");
        assertNotEquals(0, ended.code(), ended.output());
        assertTrue(ended.output().contains("java.lang.IllegalArgumentException: no more data"), ended.output());
    }
}
