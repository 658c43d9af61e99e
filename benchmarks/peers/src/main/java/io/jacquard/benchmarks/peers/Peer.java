package io.jacquard.benchmarks.peers;

import java.util.Map;
import java.util.function.Supplier;

/// One library.
interface Peer {
    /// What it is: `version`, `threads`, `blas` and more.
    Map<String, Object> facts();

    /// Its ways of doing a row, by name.
    ///
    /// @throws UnsupportedOperationException if it has none, saying why
    Map<String, PeerKernel> kernels(KernelRow row);

    /// Its ways of training this model.
    ///
    /// @throws UnsupportedOperationException if it has none, saying why
    Map<String, Supplier<PeerSteps>> steps(StepRow row);
}
