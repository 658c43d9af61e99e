package io.jacquard.cuda;

import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DType;

/// The shape of kernels that stream whole tensors (`stream` in native/include/stream.cuh).
final class Streaming {
    static final int THREADS = 256;

    private static final int ACCESS_BYTES = 16;

    /// Accesses to each operand that a thread issues in a turn.
    private static final int UNROLL = 2;

    private Streaming() {}

    /// Elements that a thread moves by one access, when `widest` is the widest of the types that move together.
    static int elements(DType widest) {
        return ACCESS_BYTES / (int) widest.bytes(1);
    }

    /// Blocks for `n` elements: each thread has a turn at least.
    static int blocks(Launcher launcher, long n, DType widest) {
        return launcher.blocks(n, THREADS * UNROLL * elements(widest));
    }
}
