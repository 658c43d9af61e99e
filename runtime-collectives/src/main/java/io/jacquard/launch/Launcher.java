package io.jacquard.launch;

/// Who started this process.
public enum Launcher {
    /// `torchrun`, or anything else that sets `RANK` and `WORLD_SIZE`.
    TORCHRUN("torchrun (RANK, WORLD_SIZE)"),
    /// `mpirun` of Open MPI.
    OPEN_MPI("mpirun of Open MPI"),
    /// `mpirun` of MPICH and its kin (Hydra), or a process manager that speaks PMI as it does.
    MPICH("PMI, mpirun of MPICH"),
    /// `srun`.
    SLURM("srun"),
    /// A Kubernetes Indexed Job whose manifest sets `WORLD_SIZE`.
    KUBERNETES("the Indexed Job"),
    /// Kubeflow Trainer, by the variables `PET_*`.
    KUBEFLOW("Kubeflow (PET_*)"),
    /// Nobody: one process.
    NONE("nobody");

    private final String words;

    Launcher(String words) {
        this.words = words;
    }

    /// For messages.
    @Override
    public String toString() {
        return words;
    }
}
