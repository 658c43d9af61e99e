package io.jacquard.mpi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.jacquard.group.GroupContract;
import io.jacquard.launch.PrintLaunch;
import io.jacquard.mpi.Mpirun.Ended;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The real srun, of a Slurm that each test starts for itself, and the real torchrun.
@Tag("mpi")
final class OtherLaunchersTest {
    @ParameterizedTest
    @CsvSource({"pmix, OPEN_MPI, srun", "pmi2, MPICH, 'PMI, mpirun of MPICH'"})
    void contractUnderSrun(String plugin, Mpirun library, String who) {
        library.needed();
        if (plugin.equals("pmix")) {
            Slurm.pmixNeeded();
        }
        Ended ended =
                Slurm.run(List.of("srun", "-K", "--mpi=" + plugin, "-n", "4"), Mpirun.java(ContractRank.class, "cpu"));
        List<String> missing = new ArrayList<>(
                GroupContract.cases().stream().map(c -> "passed: " + c.name()).toList());
        missing.removeAll(ended.lines("passed: "));
        assertEquals(List.of(), missing, ended.output());
        assertEquals(0, ended.code(), ended.output());
        for (int r = 0; r < 4; r++) {
            assertEquals(
                    1, ended.lines("launch: rank " + r + " of 4, says " + who).size(), ended.output());
        }
    }

    /// With -K srun ends the others, which leaves them a moment; without it nobody does.
    @ParameterizedTest
    @CsvSource({
        "stop, pmix, -K, OPEN_MPI, silent after",
        "kill, pmix, -K, OPEN_MPI, ended after",
        "kill, pmi2, --, MPICH, ended after"
    })
    void aLostRankEndsTheStep(
            String how, String plugin, String kill, Mpirun library, String what, @TempDir Path folder) {
        library.needed();
        if (plugin.equals("pmix")) {
            Slurm.pmixNeeded();
        }
        List<String> srun = new ArrayList<>(List.of("srun", "--mpi=" + plugin, "-n", "3"));
        if (kill.equals("-K")) {
            srun.add(kill);
        }
        Ended ended = FailuresTest.ended(Slurm.run(srun, Mpirun.java(FailingRank.class, how, "2", folder.toString())));
        assertEquals(1, ended.lines("group: ").size(), ended.output());
        assertEquals(
                1,
                ended.lines("group: "
                                + (how.equals("stop")
                                        ? "nothing has moved for "
                                        : "rank 1 has ended: its process is gone"))
                        .size(),
                ended.output());
        List<String> row = ended.lines("  1      " + what + " ");
        assertEquals(1, row.size(), ended.output());
        assertTrue(row.getFirst().matches(".* #20 all-reduce \\[100000] F32  FailingRank.java:\\d+"), row.getFirst());
    }

    @Test
    void withoutThePluginOfTheLibraryNothingRuns() {
        Mpirun.MPICH.needed();
        Ended ended = Slurm.run(
                List.of("srun", "-K", "--mpi=none", "-n", "2"), Mpirun.java(FailingRank.class, "nothing", "2"));
        assertNotEquals(0, ended.code(), ended.output());
        assertTrue(ended.output().contains("rank 0 of 1, says libmpich.so.12"), ended.output());
        assertTrue(ended.output().contains("srun takes --mpi=pmix (Open MPI) or --mpi=pmi2 (MPICH)"), ended.output());
    }

    @Test
    void theScriptOfSbatchIsNoRankAndItsStepsAre(@TempDir Path folder) throws IOException {
        String java = String.join(" ", Mpirun.java(PrintLaunch.class));
        Path script = folder.resolve("job");
        Path output = folder.resolve("output");
        Files.writeString(
                script, "#!/bin/bash\n#SBATCH --ntasks=2 --output=%s\n%s\nsrun %s\n".formatted(output, java, java));
        Ended ended = Slurm.run(List.of("sbatch", "--wait", script.toString()), List.of());
        assertEquals(0, ended.code(), ended.output());
        List<String> lines = Files.readAllLines(output);
        assertEquals(
                List.of("launch: rank 0 of 1", "local: 0 of 1", "root: null"),
                lines.stream().filter(l -> !l.startsWith("WARNING")).limit(3).toList());
        for (int r = 0; r < 2; r++) {
            String rank = "launch: rank " + r + " of 2, says srun";
            assertEquals(1, lines.stream().filter(l -> l.startsWith(rank)).count(), lines.toString());
            assertTrue(lines.contains("local: " + r + " of 2"), lines.toString());
        }
    }

    @Test
    void torchrun() {
        assumeTrue(
                Mpirun.onPath("torchrun").isPresent()
                        && Mpirun.run(List.of("torchrun", "--help"), Map.of()).code() == 0,
                "skipped: no torchrun on PATH");
        List<String> command = new ArrayList<>(
                List.of("torchrun", "--nnodes=1", "--nproc_per_node=2", "--master_port=29517", "--no-python"));
        command.addAll(Mpirun.java(PrintLaunch.class));
        Ended ended = Mpirun.run(command, Map.of());
        assertEquals(0, ended.code(), ended.output());
        for (int r = 0; r < 2; r++) {
            assertEquals(
                    1, ended.lines("launch: rank " + r + " of 2, says torchrun").size(), ended.output());
            assertEquals(1, ended.lines("local: " + r + " of 2").size(), ended.output());
        }
        assertEquals(2, ended.lines("root: 127.0.0.1:29517").size(), ended.output());
    }
}
