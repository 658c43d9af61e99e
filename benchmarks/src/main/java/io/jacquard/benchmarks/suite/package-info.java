/// `bench`: every hot kernel and whole steps beside their peers in one run, on the CPU, on a GPU or on its emulator.
///
/// [Rows] is the table of what is measured. [Bench] goes through it: [KernelTurns] lets JMH time a kernel of ours in a
/// fork ([OwnTurn], which runs `io.jacquard.benchmarks.jmh`), and in between asks the peers, which are processes that
/// stand still while others have their turn ([Contender]) and speak the protocol of `torch_peer.py`. [StepTurns] does
/// the same with whole steps, ours by the product's trainer ([StepServer]). Every side is checked against doubles
/// before a time of it counts. [BenchRecord] keeps what came of it, [ResultsPage] writes `docs/results.md` from all
/// records.
@NullMarked
package io.jacquard.benchmarks.suite;

import org.jspecify.annotations.NullMarked;
