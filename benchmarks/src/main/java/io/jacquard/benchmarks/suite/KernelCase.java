package io.jacquard.benchmarks.suite;

import io.jacquard.tensor.spi.Kernels;
import java.util.List;
import java.util.function.Consumer;

/// One row on our side: its operands, its launches and what they should have given. Operands die with the session.
interface KernelCase {
    /// The launches of one run, in order.
    List<Consumer<Kernels>> launches();

    /// What a run spoils of its inputs, made good again; outside of the time.
    default void reset() {}

    /// After one run from fresh inputs: how far the outputs are from the same computed in doubles.
    Deviation deviation();
}
