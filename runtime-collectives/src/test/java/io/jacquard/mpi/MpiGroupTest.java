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
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/// Real processes, the real libraries.
@Tag("mpi")
final class MpiGroupTest {
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
