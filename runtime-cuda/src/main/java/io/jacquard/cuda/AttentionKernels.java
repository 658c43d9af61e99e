package io.jacquard.cuda;

import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.Tensor;

/// Causal attention.
final class AttentionKernels {
    private final Launcher launcher;

    AttentionKernels(Launcher launcher) {
        this.launcher = launcher;
    }

    void attention(Tensor out, Tensor lse, Tensor qkv, int heads, int kvHeads) {
        Absent.kernel(launcher, "attention");
    }

    void attentionGrad(Tensor dQkv, Tensor dOut, Tensor qkv, Tensor out, Tensor lse, int heads, int kvHeads) {
        Absent.kernel(launcher, "attentionGrad");
    }
}
