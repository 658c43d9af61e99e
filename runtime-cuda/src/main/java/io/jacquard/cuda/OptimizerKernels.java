package io.jacquard.cuda;

import static io.jacquard.cuda.Streaming.THREADS;

import io.jacquard.cuda.driver.Kernel;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.StateRounding;
import java.util.Arrays;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// Optimizers over the flat tensors: one launch per step.
final class OptimizerKernels {
    private final Launcher launcher;

    /// By the dtype of the values, then of the gradients.
    private final Kernel[][] adamW;

    private final Kernel[][] sgd;

    /// By the dtype of the gradients; values and state are BF16.
    private final Kernel[] adamWRounded;

    private final Kernel[] sgdRounded;

    OptimizerKernels(Launcher launcher) {
        this.launcher = launcher;
        this.adamW = pairs("adamw_");
        this.sgd = pairs("sgd_");
        this.adamWRounded = launcher.floats("adamw_rounded");
        this.sgdRounded = launcher.floats("sgd_rounded");
    }

    private Kernel[][] pairs(String prefix) {
        return Arrays.stream(new DType[] {DType.F32, DType.BF16, DType.F16})
                .map(values -> launcher.floats(prefix + values.name().toLowerCase(Locale.ROOT)))
                .toArray(Kernel[][]::new);
    }

    /// Begins with values and master, which are one where state is rounded.
    private Launcher start(
            Kernel[][] exact, Kernel[] rounded, Tensor values, Tensor master, Tensor gradients, boolean rounds) {
        int g = gradients.dtype().ordinal();
        return rounds
                ? launcher.start(rounded[g]).tensor(values)
                : launcher.start(exact[values.dtype().ordinal()][g])
                        .tensor(values)
                        .tensor(master);
    }

    private void run(@Nullable StateRounding rounding, Tensor master) {
        if (rounding != null) {
            launcher.int64(rounding.seed()).tensor(rounding.step()).tensor(rounding.origins());
        }
        launcher.int64(master.size()).run(Streaming.blocks(launcher, master.size(), DType.F32), THREADS);
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
            float clip,
            @Nullable StateRounding rounding) {
        start(adamW, adamWRounded, values, master, gradients, rounding != null)
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
                .float32(clip);
        run(rounding, master);
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
            float clip,
            @Nullable StateRounding rounding) {
        start(sgd, sgdRounded, values, master, gradients, rounding != null)
                .tensor(momentum)
                .tensor(gradients)
                .tensor(learningRate)
                .tensor(norm)
                .tensor(decays)
                .float32(momentumFactor)
                .float32(weightDecay)
                .float32(clip);
        run(rounding, master);
    }
}
