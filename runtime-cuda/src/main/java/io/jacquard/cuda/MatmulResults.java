package io.jacquard.cuda;

import io.jacquard.cuda.driver.Kernel;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;

/// What the launches of all matrix products have in common: where the sums go, and the second launch that adds up those
/// of splits and puts the epilogue on top.
final class MatmulResults {
    // bits of the kernels' parameter `flags`, as in gemm.cuh
    private static final int FLOAT_OUT = 1;
    private static final int ACCUMULATE = 8;

    private static final int FINISH_THREADS = 256;

    private final Launcher launcher;
    private final Kernel[] finish;

    MatmulResults(Launcher launcher) {
        this.launcher = launcher;
        this.finish = launcher.floats("gemm_finish");
    }

    /// Flags of a kernel for `dtype`, which is that of bias and pre-activation and, unless that is F32, of the
    /// result.
    static int flags(Tensor out, DType dtype, float beta) {
        return (beta == 0 ? 0 : ACCUMULATE) | (out.dtype() == DType.F32 && dtype != DType.F32 ? FLOAT_OUT : 0);
    }

    /// The sums of splits, to be; 0 for one split.
    long workspace(int splits, int m, int n) {
        return splits == 1 ? 0 : launcher.workspace(4L * splits * m * n);
    }

    /// The kernel's arguments that make a `Result`.
    void put(Tensor out, long address, Epilogue epilogue, long partial, int m, int n, int flags) {
        launcher.tensor(out, address)
                .tensor(epilogue.bias())
                .tensor(epilogue.preActivation())
                .pointer(partial)
                .int32(m)
                .int32(n)
                .int32(flags);
    }

    /// Adds up the sums of splits, in order, if there are several.
    void finish(
            int splits,
            DType dtype,
            Tensor out,
            long address,
            Epilogue epilogue,
            long partial,
            int m,
            int n,
            int flags) {
        if (splits > 1) {
            launcher.start(finish[dtype.ordinal()]);
            put(out, address, epilogue, partial, m, n, flags);
            launcher.int32(splits).run(launcher.blocks((long) m * n), FINISH_THREADS);
        }
    }
}
