package io.jacquard.mpi;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.jacquard.mpi.Mpirun.Ended;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/// Groups over MPI with tensors of a device, which several processes share: their bytes pass through the host.
@Tag("mpi")
final class CudaMpiTest {
    @Test
    void contract() {
        List<String> flags = new ArrayList<>();
        for (String name : List.of("jacquard.cuda.driver", "jacquard.cuda.libraries")) {
            flags.add("-D" + name + "=" + System.getProperty(name, ""));
        }
        Ended ended = Mpirun.OPEN_MPI.run(
                4, Map.of("JAVA_TOOL_OPTIONS", String.join(" ", flags)), ContractRank.class, "cuda");
        List<String> missing = new ArrayList<>(ContractRank.cases("cuda").stream()
                .map(c -> "passed: " + c.name())
                .toList());
        missing.removeAll(ended.lines("passed: "));
        assertEquals(List.of(), missing, ended.output());
        assertEquals(0, ended.code(), ended.output());
    }
}
