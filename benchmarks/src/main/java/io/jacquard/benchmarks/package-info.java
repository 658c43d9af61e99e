/// Benchmarks beside peers in one run ([io.jacquard.benchmarks.suite]), and where a step's time goes ([StepProfile]).
/// Recorded results are under `benchmarks/results`.
package io.jacquard.benchmarks;
