package io.jacquard.cuda;

import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// Tokens: embedding and cross entropy.
final class TokenKernels {
    private final Launcher launcher;

    TokenKernels(Launcher launcher) {
        this.launcher = launcher;
    }

    void embedding(Tensor out, Tensor table, Tensor ids, @Nullable Tensor positions) {
        Absent.kernel(launcher, "embedding");
    }

    void embeddingGrad(Tensor dTable, Tensor dy, Tensor ids, float beta) {
        Absent.kernel(launcher, "embeddingGrad");
    }

    void crossEntropy(Tensor losses, Tensor logits, Tensor labels, @Nullable Tensor scale) {
        Absent.kernel(launcher, "crossEntropy");
    }
}
