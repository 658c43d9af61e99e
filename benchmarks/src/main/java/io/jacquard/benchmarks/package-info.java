/// Benchmarks beside peers in one run: each contender is a process of its own, driven in turns over stdin and stdout,
/// so that both meet the same noise; figures are medians and ratios. Recorded results are under `benchmarks/results`.
package io.jacquard.benchmarks;
