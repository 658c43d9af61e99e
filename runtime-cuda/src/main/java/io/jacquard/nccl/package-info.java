/// Groups of GPUs over NCCL.
///
/// Start at [io.jacquard.nccl.NcclGroup]; `Communicators` is what its groups have in common, and what ends them when
/// something fails. The library itself is `io.jacquard.cuda.driver.Nccl`.
@NullMarked
package io.jacquard.nccl;

import org.jspecify.annotations.NullMarked;
