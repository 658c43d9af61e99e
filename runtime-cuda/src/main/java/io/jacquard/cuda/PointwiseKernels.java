package io.jacquard.cuda;

import static io.jacquard.cuda.Streaming.THREADS;

import io.jacquard.cuda.driver.Kernel;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.Tensor;

/// Element by element, memory-bound: one thread, some 16-byte accesses.
final class PointwiseKernels {
    private final Launcher launcher;
    private final Kernel[] axpby;
    private final Kernel[] axpbyToF32;
    private final Kernel[] scale;
    private final Kernel[] add;
    private final Kernel[] mul;
    private final Kernel[] addRow;
    private final Kernel[] gelu;
    private final Kernel[] geluGrad;
    private final Kernel[] swiGlu;
    private final Kernel[] swiGluGrad;
    private final Kernel[] dropout;

    PointwiseKernels(Launcher launcher) {
        this.launcher = launcher;
        this.axpby = launcher.floats("axpby");
        this.axpbyToF32 = launcher.floats("axpby_to_f32");
        this.scale = launcher.floats("scale");
        this.add = launcher.floats("add");
        this.mul = launcher.floats("mul");
        this.addRow = launcher.floats("add_row");
        this.gelu = launcher.floats("gelu");
        this.geluGrad = launcher.floats("gelu_grad");
        this.swiGlu = launcher.floats("swiglu");
        this.swiGluGrad = launcher.floats("swiglu_grad");
        this.dropout = launcher.floats("dropout");
    }

    private Launcher start(Kernel[] kernels, Tensor x) {
        return launcher.start(kernels[x.dtype().ordinal()]);
    }

    private int blocks(Tensor t) {
        return Streaming.blocks(launcher, t.size(), t.dtype());
    }

    private static int columns(Tensor t) {
        return t.shape().dim(-1);
    }

    void axpby(Tensor out, float a, Tensor x, float beta) {
        start(out.dtype() == x.dtype() ? axpby : axpbyToF32, x)
                .tensor(out)
                .float32(a)
                .tensor(x)
                .float32(beta)
                .int64(out.size())
                .run(blocks(out), THREADS);
    }

    void scale(Tensor out, Tensor x, Tensor factor) {
        start(scale, x).tensor(out).tensor(x).tensor(factor).int64(out.size()).run(blocks(out), THREADS);
    }

    void add(Tensor out, Tensor x, Tensor y) {
        start(add, x).tensor(out).tensor(x).tensor(y).int64(out.size()).run(blocks(out), THREADS);
    }

    void mul(Tensor out, Tensor x, Tensor y, float beta) {
        start(mul, x)
                .tensor(out)
                .tensor(x)
                .tensor(y)
                .float32(beta)
                .int64(out.size())
                .run(blocks(out), THREADS);
    }

    void addRow(Tensor out, Tensor x, Tensor row) {
        start(addRow, x)
                .tensor(out)
                .tensor(x)
                .tensor(row)
                .int64(out.size())
                .int32(columns(row))
                .run(blocks(out), THREADS);
    }

    void gelu(Tensor out, Tensor x) {
        start(gelu, x).tensor(out).tensor(x).int64(out.size()).run(blocks(out), THREADS);
    }

    void geluGrad(Tensor dx, Tensor dy, Tensor x, float beta) {
        start(geluGrad, x)
                .tensor(dx)
                .tensor(dy)
                .tensor(x)
                .float32(beta)
                .int64(dx.size())
                .run(blocks(dx), THREADS);
    }

    void swiGlu(Tensor out, Tensor x) {
        start(swiGlu, x)
                .tensor(out)
                .tensor(x)
                .int64(out.size())
                .int32(columns(out))
                .run(blocks(out), THREADS);
    }

    void swiGluGrad(Tensor dx, Tensor dy, Tensor x, float beta) {
        start(swiGluGrad, x)
                .tensor(dx)
                .tensor(dy)
                .tensor(x)
                .float32(beta)
                .int64(dy.size())
                .int32(columns(dy))
                .run(blocks(dy), THREADS);
    }

    void dropout(Tensor out, Tensor x, float p, long seed, Tensor counters, int site, long first, float beta) {
        // (word >>> 8) * 2^-24 >= p in integers: both sides are multiples or bounds of 2^-24
        int least = (int) Math.ceil(p * 0x1p24);
        start(dropout, x)
                .tensor(out)
                .tensor(x)
                .int32(least)
                .float32(p < 1f ? 1f / (1f - p) : 0f)
                .int64(seed)
                .tensor(counters)
                .int32(site)
                .int64(first)
                .float32(beta)
                .int64(out.size())
                .run(blocks(out), THREADS);
    }
}
