/// Which of how many processes this one is: read from the environment that torchrun, mpirun, srun or Kubernetes made.
///
/// Start at [io.jacquard.launch.Launch]. Nothing here talks to other processes; that is for the engines (`mpi`).
@NullMarked
package io.jacquard.launch;

import org.jspecify.annotations.NullMarked;
