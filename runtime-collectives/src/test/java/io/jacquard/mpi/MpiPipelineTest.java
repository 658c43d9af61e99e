package io.jacquard.mpi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.mpi.Mpirun.Ended;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Pipelines of two and three processes.
@Tag("mpi")
final class MpiPipelineTest {
    @ParameterizedTest
    @EnumSource(Mpirun.class)
    void trainsAsOneRank(Mpirun mpirun) {
        Ended ended = mpirun.run(3, Map.of(), PipelineRank.class, "cpu");
        List<String> missing = new ArrayList<>(PipelineRank.names(3, "cpu").stream()
                .map(name -> "passed: " + name)
                .toList());
        missing.removeAll(ended.lines("passed: "));
        assertEquals(List.of(), missing, ended.output());
        assertEquals(0, ended.code(), ended.output());
    }

    /// One rank tells what happened where, with the stack of the exception, and all processes end.
    @ParameterizedTest
    @EnumSource(Mpirun.class)
    void aStageThatThrowsEndsAllRanks(Mpirun mpirun) {
        Ended ended = mpirun.run(3, Map.of(), PipelineRank.class, "throw");
        assertNotEquals(0, ended.code(), ended.output());
        assertEquals(
                List.of("pipeline: rank 1 failed in the forward of micro-batch 1, chunk 0: no more data"),
                ended.lines("pipeline: "),
                ended.output());
        assertEquals(
                List.of("java.lang.IllegalArgumentException: no more data"),
                ended.lines("java.lang.IllegalArgumentException"),
                ended.output());
        assertTrue(ended.output().contains("at io.jacquard.mpi.PipelineRank$Throwing.forward"), ended.output());
    }
}
