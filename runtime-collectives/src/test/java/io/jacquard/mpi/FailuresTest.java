package io.jacquard.mpi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.group.FlightReport;
import io.jacquard.mpi.Mpirun.Ended;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/// Three real processes, one of which dies, hangs or goes astray: all end, with one report.
@Tag("mpi")
final class FailuresTest {
    /// Whatever happens, all processes must have ended after so long.
    private static final double LIMIT_SECONDS = 30;

    private static final int RANKS = 3;
    private static final String TITLES = "\nranks what for operation called at\n";
    private static final String OTHERS_WAIT = "0, 2 waits in N s #N all-reduce [100000] F32 FailingRank.java:N\n";
    private static final String AFTER_THE_LAST = " after N s #N all-reduce [100000] F32 FailingRank.java:N";

    @TempDir
    private Path directory = Path.of("");

    private Ended fails(Mpirun mpirun, String how) {
        return ended(mpirun.run(RANKS, Map.of(), FailingRank.class, how, "2", directory.toString()));
    }

    static Ended ended(Ended ended) {
        assertNotEquals(0, ended.code(), ended.output());
        assertTrue(ended.seconds() < LIMIT_SECONDS, () -> ended.seconds() + " s: " + ended.output());
        List<String> pids = ended.lines("pid ");
        assertEquals(RANKS, pids.size(), ended.output());
        pids.forEach(pid -> assertTrue(gone(Long.parseLong(pid.substring(4))), pid));
        assertFalse(ended.output().contains("\nend\n"), ended.output());
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

    /// The lines of all reports, without the numbers that differ from run to run, and without the padding.
    private static String reports(String output) {
        return output.lines()
                .dropWhile(l -> !l.startsWith("group: "))
                .filter(l -> l.startsWith("group: ") || l.startsWith("  "))
                .map(FailuresTest::plain)
                .collect(Collectors.joining("\n"));
    }

    private static String plain(String line) {
        return line.strip()
                .replaceAll("\\d+(\\.\\d)? s\\b", "N s")
                .replaceAll("#\\d+", "#N")
                .replaceAll("java:\\d+", "java:N")
                .replaceAll(" +", " ");
    }

    /// Printed once, and in the file.
    private void reports(String report, Ended ended) {
        assertEquals(report, reports(ended.output()), ended.output());
        try {
            String file = Files.readString(directory.resolve(FlightReport.FILE));
            assertEquals(report, reports(file.substring(0, file.indexOf("\nbefore:\n"))), file);
            assertTrue(plain(file.substring(file.indexOf("\nbefore:\n"))).contains(" rank 0 #N all-reduce"), file);
        } catch (IOException e) {
            throw new AssertionError(ended.output(), e);
        }
    }

    @Test
    void killed() {
        Ended ended = fails(Mpirun.OPEN_MPI, "kill");
        reports(
                "group: rank 1 has ended: its process is gone (killed, or halted)" + TITLES + OTHERS_WAIT + "1 ended"
                        + AFTER_THE_LAST,
                ended);
        assertTrue(ended.output().matches("(?s).*signal 9 .?Killed.*"), ended.output());
    }

    /// Hydra kills the others at once, so that none can report: it says itself who has died, the recorders what of.
    @Test
    void killedUnderHydra() throws IOException {
        Ended ended = fails(Mpirun.MPICH, "kill");
        assertTrue(ended.output().matches("(?s).*Killed .signal 9.*"), ended.output());
        assertEquals("", reports(ended.output()));
        String report = FlightReport.ofDirectory(directory)
                .lines()
                .map(FailuresTest::plain)
                .collect(Collectors.joining("\n"));
        assertTrue(
                report.startsWith("group: the ranks have ended without a report" + TITLES)
                        && report.endsWith("1 ended" + AFTER_THE_LAST),
                report);
    }

    @Test
    void halted() {
        reports(
                "group: rank 1 has ended: its process is gone (killed, or halted)" + TITLES + OTHERS_WAIT + "1 ended"
                        + AFTER_THE_LAST,
                fails(Mpirun.OPEN_MPI, "halt"));
    }

    @ParameterizedTest
    @EnumSource(Mpirun.class)
    void stopped(Mpirun mpirun) {
        reports(
                "group: nothing has moved for N s: rank 1 does not answer (stopped, or cut off)" + TITLES + OTHERS_WAIT
                        + "1 silent" + AFTER_THE_LAST,
                fails(mpirun, "stop"));
    }

    /// Without a directory the last common operation stands for that of the silent rank.
    @Test
    void stoppedWithoutRecorders() {
        Ended ended = ended(Mpirun.OPEN_MPI.run(RANKS, Map.of(), FailingRank.class, "stop", "2"));
        assertEquals(
                "group: nothing has moved for N s: rank 1 does not answer (stopped, or cut off)" + TITLES + OTHERS_WAIT
                        + "1 silent, seen in #N all-reduce [100000] F32 FailingRank.java:N",
                reports(ended.output()),
                ended.output());
    }

    @ParameterizedTest
    @EnumSource(Mpirun.class)
    void inAnEndlessLoop(Mpirun mpirun) {
        reports(
                "group: nothing has moved for N s: rank 1 computes in a circle, without an operation, a tensor, input,"
                        + " output or a pause" + TITLES + OTHERS_WAIT + "1 computes" + AFTER_THE_LAST
                        + "\nrank 1 is at FailingRank.spin(FailingRank.java:N) <"
                        + " FailingRank.fail(FailingRank.java:N) < FailingRank.lambda$main$0(FailingRank.java:N)",
                fails(mpirun, "spin"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "OPEN_MPI | other | barrier",
                "MPICH    | other | barrier",
                "OPEN_MPI | size  | all-reduce [99999] F32",
                "OPEN_MPI | leave | close"
            })
    void atAnotherOperation(Mpirun mpirun, String how, String operation) {
        reports(
                "group: ranks came to different operations: ranks 0, 2 #N all-reduce [100000] F32; rank 1 #N "
                        + operation + TITLES + OTHERS_WAIT + "1 waits in N s #N " + operation + " FailingRank.java:N",
                fails(mpirun, how));
    }

    @ParameterizedTest
    @EnumSource(Mpirun.class)
    void waitingForEachOther(Mpirun mpirun) {
        reports(
                "group: nothing has moved for N s: all ranks wait for each other" + TITLES + OTHERS_WAIT
                        + "1 waits in N s receive [100000] F32 from rank 0 FailingRank.java:N",
                fails(mpirun, "receive"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "throw  | java.lang.IllegalArgumentException: no more data",
                "thread | java.lang.NullPointerException: nothing there"
            })
    void failedByItself(String how, String why) {
        Ended ended = fails(Mpirun.OPEN_MPI, how);
        reports("group: rank 1 of 3 failed: " + why + TITLES + OTHERS_WAIT + "1 failed" + AFTER_THE_LAST, ended);
        assertTrue(ended.output().contains("\n" + why + "\n\tat "), ended.output());
    }

    @Test
    void allFailedByThemselves() {
        Ended ended = fails(Mpirun.OPEN_MPI, "all throw");
        reports(
                "group: rank 0 of 3 failed: java.lang.IllegalArgumentException: no more data" + TITLES + "0-2 failed"
                        + AFTER_THE_LAST,
                ended);
        assertEquals(
                1,
                ended.lines("java.lang.IllegalArgumentException: no more data").size(),
                ended.output());
    }

    /// It does something else for longer than the timeout, and answers.
    @Test
    void aSlowRankIsWaitedFor() {
        reports(
                "group: rank 1 of 3 failed: java.lang.IllegalArgumentException: was waited for" + TITLES + OTHERS_WAIT
                        + "1 failed" + AFTER_THE_LAST,
                fails(Mpirun.OPEN_MPI, "late"));
    }
}
