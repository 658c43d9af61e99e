package io.jacquard.mpi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.group.GroupContract;
import io.jacquard.mpi.Mpirun.Ended;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/// Real processes, the real libraries.
@Tag("mpi")
final class MpiGroupTest {
    /// Whatever happens, all processes must have ended after so long.
    private static final double LIMIT_SECONDS = 30;

    @ParameterizedTest
    @EnumSource(Mpirun.class)
    void contract(Mpirun mpirun) {
        Ended ended = mpirun.run(4, Map.of(), ContractRank.class, "cpu");
        List<String> missing = new ArrayList<>(
                GroupContract.cases().stream().map(c -> "passed: " + c.name()).toList());
        missing.add("passed: signals of the JVM");
        missing.removeAll(ended.lines("passed: "));
        assertEquals(List.of(), missing, ended.output());
        assertEquals(0, ended.code(), ended.output());
        List<String> launches = ended.lines("launch: rank ").stream()
                .map(l -> l.replaceAll(" \\(.*", ""))
                .sorted()
                .toList();
        String who = mpirun == Mpirun.OPEN_MPI ? "mpirun of Open MPI" : "PMI, mpirun of MPICH";
        assertEquals(
                Stream.of(0, 1, 2, 3)
                        .map(r -> "launch: rank " + r + " of 4, says " + who)
                        .toList(),
                launches);
    }

    private static Ended fails(Mpirun mpirun, int ranks, String how) {
        Ended ended = mpirun.run(ranks, Map.of(), FailingRank.class, how, "2");
        assertNotEquals(0, ended.code(), ended.output());
        assertTrue(ended.seconds() < LIMIT_SECONDS, () -> ended.seconds() + " s: " + ended.output());
        List<String> pids = ended.lines("pid ");
        assertEquals(ranks, pids.size(), ended.output());
        pids.forEach(pid -> assertTrue(gone(Long.parseLong(pid.substring(4))), pid));
        return ended;
    }

    /// mpirun returns some moments before its processes have ended.
    private static boolean gone(long pid) {
        for (int i = 0; i < 100; i++) {
            if (ProcessHandle.of(pid).map(p -> !p.isAlive()).orElse(true)) {
                return true;
            }
            LockSupport.parkNanos(100_000_000);
        }
        return false;
    }

    private static void reports(String report, Ended ended) {
        assertEquals(
                List.of(report),
                ended.lines("group: ").stream()
                        .map(l -> l.replaceAll("for \\d+ s", "for N s").replaceAll("#\\d+", "#N"))
                        .toList(),
                ended.output());
    }

    @ParameterizedTest
    @EnumSource(Mpirun.class)
    void killedRankEndsAll(Mpirun mpirun) {
        Ended ended = fails(mpirun, 2, "kill");
        assertTrue(ended.output().matches("(?s).*signal 9 .?Killed.*|.*Killed .signal 9.*"), ended.output());
    }

    @ParameterizedTest
    @EnumSource(Mpirun.class)
    void stoppedRankIsFound(Mpirun mpirun) {
        reports(
                "group: nothing has moved for N s: rank 1 does not answer (stopped, or cut off); rank 0, rank 2 in"
                        + " #N all-reduce [100000] F32",
                fails(mpirun, 3, "stop"));
    }

    @ParameterizedTest
    @EnumSource(Mpirun.class)
    void differentOperationsAreNamedOnce(Mpirun mpirun) {
        reports(
                "group: ranks came to different operations: rank 0 #N all-reduce [100000] F32; rank 1 #N barrier",
                fails(mpirun, 2, "other"));
    }

    @ParameterizedTest
    @EnumSource(Mpirun.class)
    void ranksThatWaitForEachOtherAreFound(Mpirun mpirun) {
        reports(
                "group: nothing has moved for N s: all ranks wait for each other; rank 0 in #N all-reduce"
                        + " [100000] F32; rank 1 in receive [100000] F32 from rank 0",
                fails(mpirun, 2, "receive"));
    }

    @Test
    void aRankThatLeavesIsNamed() {
        reports(
                "group: ranks came to different operations: rank 0 #N all-reduce [100000] F32; rank 1 #N close",
                fails(Mpirun.OPEN_MPI, 2, "leave"));
    }

    @Test
    void anErrorEndsAll() {
        Ended ended = fails(Mpirun.OPEN_MPI, 2, "throw");
        reports("group: rank 1 of 2 failed:", ended);
        assertTrue(ended.output().contains("java.lang.IllegalArgumentException: no more data"), ended.output());
    }

    @Test
    void anErrorOfAnotherThreadEndsAll() {
        Ended ended = fails(Mpirun.OPEN_MPI, 2, "thread");
        reports("group: rank 1 of 2 failed:", ended);
        assertTrue(ended.output().contains("java.lang.NullPointerException: nothing there"), ended.output());
    }

    /// It computes for longer than the timeout, and answers.
    @Test
    void aSlowRankIsWaitedFor() {
        Ended ended = fails(Mpirun.OPEN_MPI, 2, "late");
        assertTrue(ended.output().contains("java.lang.IllegalArgumentException: was waited for"), ended.output());
    }

    /// The other's library would make each process rank 0 of 1.
    @ParameterizedTest
    @CsvSource({"OPEN_MPI, libmpich.so.12", "MPICH, libmpi.so.40"})
    void aLibraryThatIsNotTheLaunchersIsRefused(Mpirun mpirun, String library) {
        Mpirun other = mpirun == Mpirun.OPEN_MPI ? Mpirun.MPICH : Mpirun.OPEN_MPI;
        other.needed();
        Ended ended = mpirun.run(2, Map.of("JACQUARD_MPI_LIBRARY", library), FailingRank.class, "nothing", "2");
        assertNotEquals(0, ended.code());
        assertTrue(ended.output().contains("rank 0 of 1, says " + library), ended.output());
        assertTrue(ended.output().contains("probably not the launcher's library"), ended.output());
        assertFalse(ended.output().contains("pid "), ended.output());
    }

    @Test
    void aMissingLibraryIsNamed() {
        Ended ended = Mpirun.run(
                Mpirun.java(FailingRank.class, "nothing", "2"), Map.of("JACQUARD_MPI_LIBRARY", "libnowhere.so.1"));
        assertTrue(
                ended.output()
                        .contains("mpi: no library: libnowhere.so.1: cannot open shared object file: No such file or"
                                + " directory; install Open MPI or MPICH (Debian: libopenmpi3 or libmpich12), or name"
                                + " the file in JACQUARD_MPI_LIBRARY"),
                ended.output());
    }
}
