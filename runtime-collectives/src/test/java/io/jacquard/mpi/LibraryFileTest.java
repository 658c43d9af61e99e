package io.jacquard.mpi;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class LibraryFileTest {
    private static List<String> candidates(String... variables) {
        Map<String, String> environment = new HashMap<>();
        for (String v : variables) {
            environment.put(v, "1");
        }
        return LibraryFile.candidates(environment);
    }

    @Test
    void theLaunchersOwnIsOpened() {
        assertEquals(List.of("libmpi.so.40"), candidates("OMPI_COMM_WORLD_SIZE", "PMIX_RANK"));
        assertEquals(List.of("libmpi.so.40"), candidates("PMIX_RANK", "SLURM_PROCID"));
        assertEquals(
                List.of("libmpich.so.12", "libmpi.so.12", "libmpi_abi.so.1"), candidates("PMI_RANK", "SLURM_PROCID"));
    }

    @Test
    void withoutALauncherWhatIsThere() {
        assertEquals(List.of("libmpi_abi.so.1", "libmpich.so.12", "libmpi.so.12", "libmpi.so.40"), candidates());
    }

    @Test
    void theOneThatIsNamedIsTheOnlyOne() {
        assertEquals(
                List.of("/opt/mpi/libmpi.so"),
                LibraryFile.candidates(
                        Map.of("JACQUARD_MPI_LIBRARY", "/opt/mpi/libmpi.so", "OMPI_COMM_WORLD_SIZE", "2")));
    }
}
