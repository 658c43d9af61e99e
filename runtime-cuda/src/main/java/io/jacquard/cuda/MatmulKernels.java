package io.jacquard.cuda;

import io.jacquard.cuda.MatmulPlan.Path;
import io.jacquard.cuda.MatmulPlan.Tile;
import io.jacquard.cuda.driver.Kernel;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;

/// Matrix products by kernels of our own: [MatmulPlan] says which one a shape takes. Whether one of them serves or
/// cuBLASLt is up to [MatmulChoice].
final class MatmulKernels {
    // bits of the kernels' parameter `flags`, as in gemm.cuh
    private static final int FLOAT_OUT = 1;
    private static final int TRANS_A = 2;
    private static final int TRANS_B = 4;
    private static final int ACCUMULATE = 8;

    private static final int FINISH_THREADS = 256;

    /// Bytes of a row of a tile in shared memory, and how they are swizzled: 64 elements of 16 bits.
    private static final int BOX_BYTES = 128;

    private static final int BOX = 64;

    private final Launcher launcher;

    /// By tile, then by transpositions (b + 2 a; one entry for SIMT, which takes them at run time), then by dtype.
    private final Kernel[][][] kernels = new Kernel[Tile.values().length][][];

    private final Kernel[] finish;
    private final MatmulPlan.Chooser chooser;

    // of the tensor map in the making
    private final long[] sizes = new long[2];
    private final long[] strides = new long[1];
    private final int[] box = new int[2];

    MatmulKernels(Launcher launcher) {
        this(launcher, new MatmulPlan.Cache(launcher.multiprocessors(), launcher.hopper()));
    }

    MatmulKernels(Launcher launcher, MatmulPlan.Chooser chooser) {
        this.launcher = launcher;
        this.chooser = chooser;
        this.finish = launcher.floats("gemm_finish");
        for (Tile tile : Tile.values()) {
            boolean forBoth = tile == Tile.MMA_64 || tile == Tile.TMA_128;
            kernels[tile.ordinal()] = switch (tile.path) {
                case SIMT -> new Kernel[][] {launcher.floats(tile.kernel)};
                case MMA, TMA ->
                    forBoth
                            ? new Kernel[][] {
                                launcher.floats(tile.kernel + "_nn"),
                                launcher.floats(tile.kernel + "_nt"),
                                launcher.floats(tile.kernel + "_tn"),
                                launcher.floats(tile.kernel + "_tt")
                            }
                            : new Kernel[][] {
                                launcher.floats(tile.kernel + "_nn"),
                                launcher.floats(tile.kernel + "_nt"),
                                launcher.floats(tile.kernel + "_tn")
                            };
            };
        }
    }

    void matmul(Tensor out, Tensor a, boolean ta, Tensor b, boolean tb, float beta, Epilogue epilogue) {
        matmul(out, out.address(), a, ta, b, tb, beta, epilogue);
    }

    /// The same into `address`, which is like `out` in everything else.
    void matmul(Tensor out, long address, Tensor a, boolean ta, Tensor b, boolean tb, float beta, Epilogue epilogue) {
        if (out.size() == 0) {
            return;
        }
        int n = out.shape().last();
        int m = Math.toIntExact(out.size() / n);
        int k = ta ? Math.toIntExact(a.size() / m) : a.shape().last();
        DType dtype = a.dtype();
        boolean loadable =
                dtype != DType.F32 && isAligned(a) && isAligned(b) && (ta ? m : k) % 8 == 0 && (tb ? k : n) % 8 == 0;
        MatmulPlan plan = chooser.plan(m, n, k, dtype == DType.F32, loadable, ta && tb);
        long partial = plan.splits() == 1 ? 0 : launcher.workspace(4L * plan.splits() * m * n);
        int flags = (ta ? TRANS_A : 0)
                | (tb ? TRANS_B : 0)
                | (beta == 0 ? 0 : ACCUMULATE)
                | (out.dtype() == DType.F32 && dtype != DType.F32 ? FLOAT_OUT : 0);
        Tile tile = plan.tile();
        int transpositions = tile.path == Path.SIMT ? 0 : (ta ? 2 : 0) + (tb ? 1 : 0);
        launcher.start(kernels[tile.ordinal()][transpositions][dtype.ordinal()]);
        if (tile.path == Path.TMA) {
            operand(a, ta ? m : k, ta ? k : m, ta ? BOX : tile.height);
            operand(b, tb ? k : n, tb ? n : k, tb ? tile.width : BOX);
        }
        launcher.tensor(out, address)
                .tensor(epilogue.bias())
                .tensor(epilogue.preActivation())
                .pointer(partial)
                .int32(m)
                .int32(n)
                .int32(flags);
        run(plan, a, b, m, n, k);
        if (plan.splits() > 1) {
            finish(plan, out, address, epilogue, partial, m, n, flags, dtype);
        }
    }

    private void run(MatmulPlan plan, Tensor a, Tensor b, int m, int n, int k) {
        Tile tile = plan.tile();
        int tiles = tile.count(m, n);
        if (tile.path == Path.TMA) {
            // one block per multiprocessor, which takes tiles in turn
            int items = Math.multiplyExact(tiles, plan.splits());
            launcher.int32(k)
                    .int32(plan.splits())
                    .run(Math.min(items, launcher.multiprocessors()), 1, 1, tile.threads, tile.sharedBytes);
        } else {
            launcher.tensor(a)
                    .tensor(b)
                    .int32(k)
                    .int32(plan.splits())
                    .run(tiles, plan.splits(), 1, tile.threads, tile.sharedBytes);
        }
    }

    /// Adds up the partial sums, in order.
    private void finish(
            MatmulPlan plan,
            Tensor out,
            long address,
            Epilogue epilogue,
            long partial,
            int m,
            int n,
            int flags,
            DType dtype) {
        launcher.start(finish[dtype.ordinal()])
                .tensor(out, address)
                .tensor(epilogue.bias())
                .tensor(epilogue.preActivation())
                .pointer(partial)
                .int32(m)
                .int32(n)
                .int32(flags)
                .int32(plan.splits())
                .run(launcher.blocks((long) m * n), FINISH_THREADS);
    }

    private void operand(Tensor x, int inner, int outer, int rows) {
        sizes[0] = inner;
        sizes[1] = outer;
        strides[0] = 2L * inner;
        box[0] = BOX;
        box[1] = rows;
        launcher.tensorMap(x.dtype(), x.address(), sizes, strides, box, BOX_BYTES);
    }

    private static boolean isAligned(Tensor x) {
        return x.address() % 16 == 0;
    }
}
