/// Ranks that compute together: collectives over tensors, and the engines that need no library.
///
/// Start at [io.jacquard.group.Group]. [io.jacquard.group.SoloGroup] is the group of one,
/// [io.jacquard.group.LocalGroup] makes ranks of the threads of this JVM. What all engines say when ranks fail begins
/// at [io.jacquard.group.FlightReport]. Engines over MPI and NCCL are modules of their own; what is built on groups
/// (sharded optimizers, parallel layers) is not here either.
@NullMarked
package io.jacquard.group;

import org.jspecify.annotations.NullMarked;
