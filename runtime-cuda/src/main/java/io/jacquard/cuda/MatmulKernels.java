package io.jacquard.cuda;

import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;

/// Matrix products.
final class MatmulKernels {
    private final Launcher launcher;

    MatmulKernels(Launcher launcher) {
        this.launcher = launcher;
    }

    void matmul(Tensor out, Tensor a, boolean ta, Tensor b, boolean tb, float beta, Epilogue epilogue) {
        Absent.kernel(launcher, "matmul");
    }
}
