package io.jacquard.launch;

import io.jacquard.launch.Launch.Address;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// What each launcher that left variables says, the innermost first, and whether they can all be right.
final class Claims {
    /// The port of rank 0 when only its host is known: that of torchrun.
    private static final int PORT = 29500;

    /// @param local rank and size on this machine, if the launcher says them
    private record Claim(Launcher launcher, int rank, int size, int @Nullable [] local, String variables) {
        boolean same(Claim other) {
            return rank == other.rank && size == other.size;
        }

        @Override
        public String toString() {
            return launcher + " says rank " + rank + " of " + size + " (" + variables + ")";
        }
    }

    private final Variables variables;
    private final List<Claim> claims = new ArrayList<>();

    Claims(Variables variables) {
        this.variables = variables;
        torchrun();
        openMpi();
        mpich();
        slurm();
        if (!has("RANK")) { // torchrun itself reads PET_*, and may number the nodes in another order
            kubernetes();
            kubeflow();
        }
    }

    Launch agreed() {
        if (claims.stream().anyMatch(c -> c.size > 1)) {
            claims.removeIf(c -> c.size == 1); // one of one says nothing: a wrapper, or the process by itself
        }
        if (claims.isEmpty()) {
            return Launch.SOLO;
        }
        Claim first = claims.getFirst();
        int[] local = first.local;
        for (Claim other : claims) {
            if (!compatible(first, other)) {
                throw new IllegalArgumentException(
                        "launch: contradiction: " + first + ", " + other + "; unset the variables that are not meant");
            }
            local = local == null && first.same(other) ? other.local : local;
        }
        return new Launch(
                first.launcher,
                first.rank,
                first.size,
                local == null ? 0 : local[0],
                local == null ? 1 : local[1],
                root(),
                first.variables);
    }

    /// The same, or `inner` was started by processes of `outer`, one on each machine.
    private boolean compatible(Claim inner, Claim outer) {
        int here = inner.local == null ? 1 : inner.local[1];
        boolean oneOnEach = outer.size * here == inner.size;
        if (inner.launcher == Launcher.TORCHRUN && has("TORCHELASTIC_RUN_ID")) {
            return outer.same(inner) || oneOnEach; // its rendezvous numbers the machines in an order of its own
        }
        if (inner.size == outer.size) {
            return inner.rank == outer.rank;
        }
        return oneOnEach && outer.rank == inner.rank / here || daemons(inner, outer);
    }

    /// mpirun starts its daemons by srun, one on each machine but perhaps its own, and ranks inherit their
    /// variables.
    private boolean daemons(Claim inner, Claim outer) {
        return outer.launcher == Launcher.SLURM
                && (inner.launcher == Launcher.OPEN_MPI || inner.launcher == Launcher.MPICH)
                && outer.size < inner.size
                && outer.size == variables.number("SLURM_STEP_NUM_NODES", variables.number("SLURM_NNODES", 1));
    }

    private boolean has(String name) {
        return variables.has(name);
    }

    // ---- one method per launcher

    private void torchrun() {
        if (has("RANK")) {
            if (!has("WORLD_SIZE")) {
                throw new IllegalArgumentException(
                        "launch: " + variables.show("RANK") + " without WORLD_SIZE; set both or neither");
            }
            claim(Launcher.TORCHRUN, "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE");
        }
    }

    private void openMpi() {
        if (has("OMPI_COMM_WORLD_RANK")) {
            claim(
                    Launcher.OPEN_MPI,
                    "OMPI_COMM_WORLD_RANK",
                    "OMPI_COMM_WORLD_SIZE",
                    "OMPI_COMM_WORLD_LOCAL_RANK",
                    "OMPI_COMM_WORLD_LOCAL_SIZE");
        }
    }

    private void mpich() {
        if (has("PMI_RANK") && has("PMI_SIZE")) {
            claim(Launcher.MPICH, "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS");
        }
    }

    private void claim(Launcher launcher, String rank, String size, String localRank, String localSize) {
        int[] local = has(localRank) && has(localSize)
                ? pair(variables.number(localRank), variables.number(localSize))
                : null;
        add(new Claim(
                launcher,
                variables.number(rank),
                variables.number(size),
                local,
                variables.show(rank, size, localRank, localSize)));
    }

    /// The script that sbatch runs sees the variables of a task, and is none: only a step has a number.
    private void slurm() {
        if (!has("SLURM_PROCID") || !has("SLURM_STEP_ID")) {
            return;
        }
        String size = variables.firstOf("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS");
        if (size == null) {
            throw new IllegalArgumentException("launch: " + variables.show("SLURM_PROCID", "SLURM_STEP_ID")
                    + " without SLURM_STEP_NUM_TASKS or SLURM_NTASKS");
        }
        String tasks =
                variables.text(has("SLURM_STEP_TASKS_PER_NODE") ? "SLURM_STEP_TASKS_PER_NODE" : "SLURM_TASKS_PER_NODE");
        int[] local = has("SLURM_LOCALID") && tasks != null
                ? pair(
                        variables.number("SLURM_LOCALID"),
                        SlurmLists.tasksOn(variables.number("SLURM_NODEID", 0), tasks))
                : null;
        add(new Claim(
                Launcher.SLURM,
                variables.number("SLURM_PROCID"),
                variables.number(size),
                local,
                variables.show("SLURM_PROCID", size, "SLURM_STEP_ID", "SLURM_LOCALID")));
    }

    private void kubernetes() {
        if (!has("JOB_COMPLETION_INDEX")) {
            return;
        }
        if (!has("WORLD_SIZE")) {
            throw new IllegalArgumentException("launch: " + variables.show("JOB_COMPLETION_INDEX")
                    + " without WORLD_SIZE: set it in the manifest to the number of ranks, or to 1 for runs that have"
                    + " nothing to do with each other");
        }
        int size = variables.number("WORLD_SIZE");
        int[] local = local(variables.number("LOCAL_WORLD_SIZE", 1), "LOCAL_WORLD_SIZE");
        add(new Claim(
                Launcher.KUBERNETES,
                size == 1 ? 0 : variables.number("JOB_COMPLETION_INDEX") * local[1] + local[0],
                size,
                local,
                variables.show("JOB_COMPLETION_INDEX", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")));
    }

    private void kubeflow() {
        if (!has("PET_NNODES") || !has("PET_NODE_RANK")) {
            return;
        }
        int[] local = local(variables.number("PET_NPROC_PER_NODE", 1), "PET_NPROC_PER_NODE");
        add(new Claim(
                Launcher.KUBEFLOW,
                variables.number("PET_NODE_RANK") * local[1] + local[0],
                variables.number("PET_NNODES") * local[1],
                local,
                variables.show("PET_NODE_RANK", "PET_NNODES", "PET_NPROC_PER_NODE", "LOCAL_RANK")));
    }

    /// Of a launcher that starts one process per machine and may want several ranks there.
    private int[] local(int size, String from) {
        if (size > 1 && !has("LOCAL_RANK")) {
            throw new IllegalArgumentException("launch: " + variables.show(from)
                    + " without LOCAL_RANK: nobody started the processes of this machine; set it to 1, or start them"
                    + " with: torchrun --no-python");
        }
        return pair(variables.number("LOCAL_RANK", 0), size);
    }

    private static int[] pair(int rank, int size) {
        return new int[] {rank, size};
    }

    private void add(Claim claim) {
        if (claim.rank < 0 || claim.rank >= claim.size) {
            throw new IllegalArgumentException("launch: " + claim + ": there is no such rank");
        }
        claims.add(claim);
    }

    // ---- rank 0

    private @Nullable Address root() {
        String host = variables.firstOf("MASTER_ADDR", "PET_MASTER_ADDR");
        if (host != null) {
            String port = variables.firstOf("MASTER_PORT", "PET_MASTER_PORT");
            return new Address(
                    Objects.requireNonNull(variables.text(host)), port == null ? PORT : variables.number(port));
        }
        String nodes = variables.firstOf("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST");
        if (nodes == null || claims.stream().noneMatch(c -> c.launcher == Launcher.SLURM)) {
            return null;
        }
        // two jobs on one machine should not meet
        int port = PORT + Math.floorMod(variables.number("SLURM_JOB_ID", 0), 1000) + 1;
        return new Address(SlurmLists.firstHost(Objects.requireNonNull(variables.text(nodes))), port);
    }
}
