package io.jacquard.mpi;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.jacquard.mpi.Mpirun.Ended;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// The real srun and sbatch, of a Slurm that lives as long as the command.
public final class Slurm {
    private static final Path ONE_MACHINE = Path.of("..", "runtime-collectives", "src", "test", "slurm", "one-machine");

    private Slurm() {}

    /// Runs `command` by `slurm`, such as `srun -n 4`; the test is skipped where Slurm is missing.
    public static Ended run(List<String> slurm, List<String> command) {
        for (String tool : List.of("srun", "slurmctld", "slurmd", "munged")) {
            assumeTrue(
                    Mpirun.onPath(tool).isPresent() || Files.isExecutable(Path.of("/usr/sbin", tool)),
                    () -> "skipped: no " + tool + " on PATH; apt-get install --no-install-recommends slurm-wlm munge");
        }
        assumeTrue(System.getProperty("user.name").equals("root"), "skipped: slurmd must run as root");
        List<String> all = new ArrayList<>(List.of(ONE_MACHINE.toString()));
        all.addAll(slurm);
        all.addAll(command);
        return Mpirun.run(all, Map.of("PATH", System.getenv("PATH") + ":/usr/sbin:/sbin"));
    }

    /// Slurm's plugin opens PMIx by the name that only the development package has; without it the test is skipped.
    public static void pmixNeeded() {
        assumeTrue(
                Mpirun.run(List.of("sh", "-c", "PATH=$PATH:/sbin ldconfig -p"), Map.of())
                        .output()
                        .contains("libpmix.so "),
                "skipped: no libpmix.so for srun --mpi=pmix; apt-get install --no-install-recommends libpmix-dev");
    }
}
