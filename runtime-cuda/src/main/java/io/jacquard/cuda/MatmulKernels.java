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
    private static final int TRANS_A = 2;
    private static final int TRANS_B = 4;

    /// Bytes of a row of a tile in shared memory, and how they are swizzled: 64 elements of 16 bits.
    private static final int BOX_BYTES = 128;

    private static final int BOX = 64;

    private final Launcher launcher;

    /// By tile, then by transpositions (b + 2 a; one entry for SIMT, which takes them at run time), then by dtype.
    private final Kernel[][][] kernels = new Kernel[Tile.values().length][][];

    private final MatmulResults results;
    private final Planner<MatmulPlan> planner;

    // of the tensor map in the making
    private final long[] sizes = new long[2];
    private final long[] strides = new long[1];
    private final int[] box = new int[2];

    MatmulKernels(Launcher launcher) {
        this(launcher, new PlanCache<>(MatmulPlan.planner(launcher.multiprocessors(), launcher.hopper())));
    }

    MatmulKernels(Launcher launcher, Planner<MatmulPlan> planner) {
        this.launcher = launcher;
        this.planner = planner;
        this.results = new MatmulResults(launcher);
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
        MatmulPlan plan = plan(m, n, k, a, ta, b.address(), tb, 0);
        matmul(plan, out, address, a, ta, b, b.address(), tb, beta, epilogue, m, n, k);
    }

    /// The product with weights `w` that have been made floats like those of `a` and lie in the workspace, at
    /// `dense`: not split, since the sums of splits would lie there, too.
    void matmulDense(Tensor out, Tensor a, Tensor w, long dense, boolean tb, float beta, Epilogue epilogue) {
        int n = out.shape().last();
        int m = Math.toIntExact(out.size() / n);
        int k = a.shape().last();
        MatmulPlan plan = plan(m, n, k, a, false, dense, tb, MatmulPlan.UNSPLIT);
        matmul(plan, out, out.address(), a, false, w, dense, tb, beta, epilogue, m, n, k);
    }

    private MatmulPlan plan(int m, int n, int k, Tensor a, boolean ta, long b, boolean tb, int also) {
        boolean f32 = a.dtype() == DType.F32;
        boolean loadable =
                !f32 && a.address() % 16 == 0 && b % 16 == 0 && (ta ? m : k) % 8 == 0 && (tb ? k : n) % 8 == 0;
        int kind = (f32 ? MatmulPlan.F32 : 0) | (loadable ? MatmulPlan.LOADABLE : 0) | (ta && tb ? MatmulPlan.BOTH : 0);
        return planner.plan(m, n, k, kind | also);
    }

    private void matmul(
            MatmulPlan plan,
            Tensor out,
            long address,
            Tensor a,
            boolean ta,
            Tensor b,
            long bAddress,
            boolean tb,
            float beta,
            Epilogue epilogue,
            int m,
            int n,
            int k) {
        DType dtype = a.dtype();
        long partial = results.workspace(plan.splits(), m, n);
        int flags = (ta ? TRANS_A : 0) | (tb ? TRANS_B : 0) | MatmulResults.flags(out, dtype, beta);
        Tile tile = plan.tile();
        int transpositions = tile.path == Path.SIMT ? 0 : (ta ? 2 : 0) + (tb ? 1 : 0);
        launcher.start(kernels[tile.ordinal()][transpositions][dtype.ordinal()]);
        if (tile.path == Path.TMA) {
            operand(dtype, a.address(), ta ? m : k, ta ? k : m, ta ? BOX : tile.height);
            operand(dtype, bAddress, tb ? k : n, tb ? n : k, tb ? tile.width : BOX);
        }
        results.put(out, address, epilogue, partial, m, n, flags);
        run(plan, a, b, bAddress, m, n, k);
        results.finish(plan.splits(), dtype, out, address, epilogue, partial, m, n, flags);
    }

    private void run(MatmulPlan plan, Tensor a, Tensor b, long bAddress, int m, int n, int k) {
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
                    .tensor(b, bAddress)
                    .int32(k)
                    .int32(plan.splits())
                    .run(tiles, plan.splits(), 1, tile.threads, tile.sharedBytes);
        }
    }

    private void operand(DType dtype, long address, int inner, int outer, int rows) {
        sizes[0] = inner;
        sizes[1] = outer;
        strides[0] = 2L * inner;
        box[0] = BOX;
        box[1] = rows;
        launcher.tensorMap(dtype, address, sizes, strides, box, BOX_BYTES);
    }
}
