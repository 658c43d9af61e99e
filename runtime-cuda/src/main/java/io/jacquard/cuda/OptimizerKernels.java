package io.jacquard.cuda;

import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.Tensor;

/// Optimizers over the flat tensors.
final class OptimizerKernels {
    private final Launcher launcher;

    OptimizerKernels(Launcher launcher) {
        this.launcher = launcher;
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
        Absent.kernel(launcher, "adamW");
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
        Absent.kernel(launcher, "sgd");
    }
}
