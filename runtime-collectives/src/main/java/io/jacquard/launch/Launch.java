package io.jacquard.launch;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Which of how many processes this one is, as its launcher says.
///
/// `localRank` and `localSize` count the processes of this machine. A GPU is chosen by `localRank` modulo the number of
/// *visible* GPUs: some launchers show each process its own only.
///
/// @param launcher who said so
/// @param variables what was read, as `NAME=value, NAME=value`; empty without a launcher
/// @param root where rank 0 can be reached, if the environment says it: MPI finds its ranks by itself
public record Launch(
        Launcher launcher,
        int rank,
        int size,
        int localRank,
        int localSize,
        @Nullable Address root,
        String variables) {
    /// One process that nobody launched.
    public static final Launch SOLO = new Launch(Launcher.NONE, 0, 1, 0, 1, null, "");

    /// Where rank 0 listens. Under torchrun the port is taken by its own store; the one after it is free.
    public record Address(String host, int port) {
        @Override
        public String toString() {
            return host + ":" + port;
        }
    }

    /// Checks that ranks lie within sizes.
    public Launch {
        inside("rank", rank, size, variables);
        inside("local rank", localRank, localSize, variables);
    }

    private static void inside(String what, int rank, int size, String variables) {
        if (rank < 0 || rank >= size) {
            throw new IllegalArgumentException(
                    "launch: " + what + " " + rank + " of " + size + " cannot be (" + variables + ")");
        }
    }

    /// From the environment of this process.
    public static Launch here() {
        return of(System.getenv());
    }

    /// From the variables of an environment. Where several launchers nest, the innermost counts.
    ///
    /// @throws IllegalArgumentException if variables have no sense, are missing, or contradict each other
    public static Launch of(Map<String, String> environment) {
        return new Claims(new Variables(environment)).agreed();
    }

    /// `rank 3 of 8, says srun (SLURM_PROCID=3, SLURM_STEP_NUM_TASKS=8)`.
    @Override
    public String toString() {
        String who = "rank " + rank + " of " + size;
        return launcher == Launcher.NONE ? who : who + ", says " + launcher + " (" + variables + ")";
    }
}
