package io.jacquard.cuda;

import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.Tensor;

/// Element by element, memory-bound: one thread, some 16-byte accesses.
final class PointwiseKernels {
    private final Launcher launcher;

    PointwiseKernels(Launcher launcher) {
        this.launcher = launcher;
    }

    void axpby(Tensor out, float a, Tensor x, float beta) {
        Absent.kernel(launcher, "axpby");
    }

    void scale(Tensor out, Tensor x, Tensor factor) {
        Absent.kernel(launcher, "scale");
    }

    void add(Tensor out, Tensor x, Tensor y) {
        Absent.kernel(launcher, "add");
    }

    void mul(Tensor out, Tensor x, Tensor y, float beta) {
        Absent.kernel(launcher, "mul");
    }

    void addRow(Tensor out, Tensor x, Tensor row) {
        Absent.kernel(launcher, "addRow");
    }

    void gelu(Tensor out, Tensor x) {
        Absent.kernel(launcher, "gelu");
    }

    void geluGrad(Tensor dx, Tensor dy, Tensor x, float beta) {
        Absent.kernel(launcher, "geluGrad");
    }

    void swiGlu(Tensor out, Tensor x) {
        Absent.kernel(launcher, "swiGlu");
    }

    void swiGluGrad(Tensor dx, Tensor dy, Tensor x, float beta) {
        Absent.kernel(launcher, "swiGluGrad");
    }

    void dropout(Tensor out, Tensor x, float p, long seed, Tensor counters, int site, float beta) {
        Absent.kernel(launcher, "dropout");
    }
}
