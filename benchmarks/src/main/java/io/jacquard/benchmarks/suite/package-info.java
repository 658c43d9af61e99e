/// `gpu-bench`: every hot kernel and whole steps beside PyTorch in one run, on a GPU, on its emulator or on the CPU.
///
/// [Rows] is the table of what is measured. [Bench] drives two long-living processes in turns over stdin and stdout:
/// [KernelServer] (and [StepServer] for whole steps, which runs the product's trainer) and the peer's
/// `torch_peer.py`. Each row checks both against doubles before a time counts. [BenchRecord] keeps what came of it,
/// [ResultsPage] writes `docs/results.md` from all records.
package io.jacquard.benchmarks.suite;
