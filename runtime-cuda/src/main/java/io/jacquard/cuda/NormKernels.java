package io.jacquard.cuda;

import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// Norms and softmax over the last dimension: a row to a warp or block.
final class NormKernels {
    private final Launcher launcher;

    NormKernels(Launcher launcher) {
        this.launcher = launcher;
    }

    void layerNorm(
            Tensor out,
            @Nullable Tensor total,
            Tensor mean,
            Tensor rstd,
            Tensor x,
            @Nullable Tensor residual,
            Tensor weight,
            Tensor bias,
            float epsilon) {
        Absent.kernel(launcher, "layerNorm");
    }

    void layerNormGrad(
            @Nullable Tensor dx,
            float beta,
            @Nullable Tensor dWeight,
            @Nullable Tensor dBias,
            float weightBeta,
            Tensor dy,
            Tensor x,
            Tensor mean,
            Tensor rstd,
            Tensor weight) {
        Absent.kernel(launcher, "layerNormGrad");
    }

    void rmsNorm(
            Tensor out,
            @Nullable Tensor total,
            Tensor rstd,
            Tensor x,
            @Nullable Tensor residual,
            Tensor weight,
            float epsilon) {
        Absent.kernel(launcher, "rmsNorm");
    }

    void rmsNormGrad(
            @Nullable Tensor dx,
            float beta,
            @Nullable Tensor dWeight,
            float weightBeta,
            Tensor dy,
            Tensor x,
            Tensor rstd,
            Tensor weight) {
        Absent.kernel(launcher, "rmsNormGrad");
    }

    void softmax(Tensor out, Tensor x) {
        Absent.kernel(launcher, "softmax");
    }

    void softmaxGrad(Tensor dx, Tensor dy, Tensor y, float beta) {
        Absent.kernel(launcher, "softmaxGrad");
    }
}
