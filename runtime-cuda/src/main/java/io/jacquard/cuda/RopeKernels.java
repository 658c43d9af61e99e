package io.jacquard.cuda;

import io.jacquard.cuda.driver.Kernel;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.Tensor;

/// Rotary embedding.
final class RopeKernels {
    private static final int MOST_THREADS = 256;

    /// Bytes of an angle's cosine and sine.
    private static final int TURN = 8;

    private final Launcher launcher;
    private final Kernel[] rope;

    RopeKernels(Launcher launcher) {
        this.launcher = launcher;
        rope = launcher.floats("rope");
    }

    void rope(Tensor out, Tensor x, int heads, int headDim, float base, int firstPosition, boolean inverse) {
        if (x.size() == 0) {
            return;
        }
        int width = RowGroups.columns(x);
        int time = x.shape().dim(x.shape().rank() - 2);
        int batch = Math.toIntExact(x.size() / width / time);
        double exponent = -2 * Math.log(base) / Math.log(2) / headDim;
        int threads = RowGroups.threads((long) batch * width, 2 * RowGroups.vector(x), MOST_THREADS);
        launcher.start(rope[x.dtype().ordinal()])
                .tensor(out)
                .tensor(x)
                .int64(Double.doubleToRawLongBits(exponent)) // a `double` parameter: the same 8 bytes
                .int32(batch)
                .int32(time)
                .int32(width)
                .int32(heads)
                .int32(headDim)
                .int32(firstPosition)
                .int32(inverse ? 1 : 0)
                .run(launcher.blocks(time, 1), 1, 1, threads, headDim / 2 * TURN);
    }
}
