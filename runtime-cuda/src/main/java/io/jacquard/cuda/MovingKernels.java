package io.jacquard.cuda;

import io.jacquard.cuda.driver.Kernel;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.Tensor;

/// Moving and filling: fill, cast, strided copy, random numbers.
final class MovingKernels {
    private static final int THREADS = 256;

    private final Launcher launcher;
    private final Kernel[] fill;

    MovingKernels(Launcher launcher) {
        this.launcher = launcher;
        this.fill = launcher.types("fill");
    }

    void fill(Tensor out, float value) {
        launcher.start(fill[out.dtype().ordinal()])
                .tensor(out)
                .float32(value)
                .int64(out.size())
                .run(launcher.blocks(out.size()), THREADS);
    }

    void cast(Tensor out, Tensor x) {
        Absent.kernel(launcher, "cast");
    }

    void copy(
            Tensor out,
            long outOffset,
            long[] outStrides,
            Tensor x,
            long xOffset,
            long[] xStrides,
            int[] sizes,
            float beta) {
        Absent.kernel(launcher, "copy");
    }

    void random(Tensor out, float deviation, long seed, int site) {
        Absent.kernel(launcher, "random");
    }
}
