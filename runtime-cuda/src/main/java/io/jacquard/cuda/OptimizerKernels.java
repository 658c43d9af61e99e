package io.jacquard.cuda;

import static io.jacquard.cuda.Streaming.THREADS;

import io.jacquard.cuda.driver.Kernel;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import java.util.Arrays;
import java.util.Locale;

/// Optimizers over the flat tensors: one launch per step.
final class OptimizerKernels {
    private final Launcher launcher;

    /// By the dtype of the values, then of the gradients.
    private final Kernel[][] adamW;

    private final Kernel[][] sgd;

    OptimizerKernels(Launcher launcher) {
        this.launcher = launcher;
        this.adamW = pairs("adamw_");
        this.sgd = pairs("sgd_");
    }

    private Kernel[][] pairs(String prefix) {
        return Arrays.stream(new DType[] {DType.F32, DType.BF16, DType.F16})
                .map(values -> launcher.floats(prefix + values.name().toLowerCase(Locale.ROOT)))
                .toArray(Kernel[][]::new);
    }

    private Launcher start(Kernel[][] kernels, Tensor values, Tensor gradients) {
        return launcher.start(
                kernels[values.dtype().ordinal()][gradients.dtype().ordinal()]);
    }

    void adamW(
            Tensor values,
            Tensor master,
            Tensor m,
            Tensor v,
            Tensor gradients,
            Tensor learningRate,
            Tensor step,
            Tensor norm,
            Tensor decays,
            float beta1,
            float beta2,
            float epsilon,
            float weightDecay,
            float clip) {
        start(adamW, values, gradients)
                .tensor(values)
                .tensor(master)
                .tensor(m)
                .tensor(v)
                .tensor(gradients)
                .tensor(learningRate)
                .tensor(step)
                .tensor(norm)
                .tensor(decays)
                .float32(beta1)
                .float32(beta2)
                .float32((float) Math.log(beta1)) // the power of the step by exp, accurate near 1
                .float32((float) Math.log(beta2))
                .float32(epsilon)
                .float32(weightDecay)
                .float32(clip)
                .int64(master.size())
                .run(Streaming.blocks(launcher, master.size(), DType.F32), THREADS);
    }

    void sgd(
            Tensor values,
            Tensor master,
            Tensor momentum,
            Tensor gradients,
            Tensor learningRate,
            Tensor norm,
            Tensor decays,
            float momentumFactor,
            float weightDecay,
            float clip) {
        start(sgd, values, gradients)
                .tensor(values)
                .tensor(master)
                .tensor(momentum)
                .tensor(gradients)
                .tensor(learningRate)
                .tensor(norm)
                .tensor(decays)
                .float32(momentumFactor)
                .float32(weightDecay)
                .float32(clip)
                .int64(master.size())
                .run(Streaming.blocks(launcher, master.size(), DType.F32), THREADS);
    }
}
