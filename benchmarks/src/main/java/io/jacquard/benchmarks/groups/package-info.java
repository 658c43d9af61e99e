/// Collectives between processes beside the same library called from C.
///
/// Start at [io.jacquard.benchmarks.groups.AllReduceBenchmark].
@NullMarked
package io.jacquard.benchmarks.groups;

import org.jspecify.annotations.NullMarked;
