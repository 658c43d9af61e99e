/// What ranks do together: collectives between processes beside the same library called from C
/// ([io.jacquard.benchmarks.groups.AllReduceBenchmark]), and the schedules of pipelines beside their formulas
/// ([io.jacquard.benchmarks.groups.PipelineBenchmark]).
@NullMarked
package io.jacquard.benchmarks.groups;

import org.jspecify.annotations.NullMarked;
