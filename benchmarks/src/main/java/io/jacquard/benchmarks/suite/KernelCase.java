package io.jacquard.benchmarks.suite;

import io.jacquard.tensor.spi.Kernels;
import io.jacquard.tensor.spi.Work;
import java.util.List;
import java.util.function.Consumer;

/// A kernel to be measured: its operands, its launches and what they should have given. Operands die with the session.
public interface KernelCase {
    /// The launches of one run, in order.
    List<Consumer<Kernels>> launches();

    /// What a run spoils of its inputs, made good again; outside of the time.
    default void reset() {}

    /// The least work that a launch is; of what is not a kernel of ours, to be said here.
    default Work work(Consumer<Kernels> launch) {
        return Work.of(launch);
    }

    /// After one run from fresh inputs: how far the outputs are from the same computed in doubles.
    Deviation deviation();
}
