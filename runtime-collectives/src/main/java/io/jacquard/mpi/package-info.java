/// Groups of processes over MPI: Open MPI, MPICH and libraries of the MPI 5 ABI, called through `java.lang.foreign`.
///
/// Start at [io.jacquard.mpi.MpiGroup]. `Mpi` is the library, `Wire` moves bytes, `Watchdog` notices ranks that have
/// stopped. Only here does anything know MPI; what a sum over ranks is, `MpiGroup` says in kernels.
@NullMarked
package io.jacquard.mpi;

import org.jspecify.annotations.NullMarked;
