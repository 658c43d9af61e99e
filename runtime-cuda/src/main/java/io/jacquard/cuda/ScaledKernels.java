package io.jacquard.cuda;

import io.jacquard.cuda.LowPrecisionPlan.Tile;
import io.jacquard.cuda.driver.Kernel;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import io.jacquard.tensor.spi.Scaled;

/// Products of two matrices in low precision by kernels of our own; [LowPrecisionPlan] says by which. Whether one of
/// them serves or cuBLASLt is up to [MatmulChoice].
final class ScaledKernels {
    /// Bytes of a row of a tile in shared memory, and how they are swizzled.
    private static final int BOX_BYTES = 128;

    /// A pair of codes is an element to the copy engine, as everywhere in the kernels.
    private static final int PAIR = 2;

    private final Launcher launcher;
    private final MatmulResults results;
    private final PlanCache<LowPrecisionPlan> plans;

    /// By tile, of which the first three are for these products, then by dtype.
    private final Kernel[][] kernels;

    // of the tensor map in the making
    private final long[] sizes = new long[2];
    private final long[] strides = new long[1];
    private final int[] box = {BOX_BYTES / PAIR, 0};

    ScaledKernels(Launcher launcher) {
        this.launcher = launcher;
        this.results = new MatmulResults(launcher);
        this.plans = LowPrecisionPlan.cache(launcher.multiprocessors());
        this.kernels = new Kernel[][] {
            launcher.floats(Tile.SCALED_SIMT.kernel),
            launcher.floats(Tile.SCALED_MMA.kernel),
            launcher.floats(Tile.SCALED_TMA.kernel)
        };
    }

    void matmul(Tensor out, Scaled a, Scaled b, float beta, Epilogue epilogue) {
        matmul(out, out.address(), a, b, beta, epilogue);
    }

    /// The same into `address`, which is like `out` in everything else.
    void matmul(Tensor out, long address, Scaled a, Scaled b, float beta, Epilogue epilogue) {
        if (out.size() == 0) {
            return;
        }
        int m = a.rows();
        int n = b.rows();
        int k = a.columns();
        boolean aligned = a.values().address() % 16 == 0 && b.values().address() % 16 == 0;
        int capability = launcher.gpu().capability();
        Tile tile = LowPrecisionPlan.scaled(m, n, k, a.type(), b.type(), aligned, capability);
        run(plans.plan(m, n, k, tile.ordinal()), out, address, a, b, beta, epilogue, m, n, k);
    }

    private void run(
            LowPrecisionPlan plan,
            Tensor out,
            long address,
            Scaled a,
            Scaled b,
            float beta,
            Epilogue epilogue,
            int m,
            int n,
            int k) {
        Tile tile = plan.tile();
        DType dtype = dtype(out, epilogue);
        int flags = MatmulResults.flags(out, dtype, beta);
        long partial = results.workspace(plan.splits(), m, n);
        launcher.start(kernels[tile.ordinal()][dtype.ordinal()]);
        if (tile == Tile.SCALED_TMA) {
            map(a, tile.height);
            map(b, tile.width);
        }
        results.put(out, address, epilogue, partial, m, n, flags);
        operand(a);
        operand(b);
        launcher.int32(k).int32(plan.splits());
        int tiles = tile.count(m, n);
        if (tile == Tile.SCALED_TMA) {
            // one block per multiprocessor, which takes tiles in turn
            int items = Math.multiplyExact(tiles, plan.splits());
            launcher.run(Math.min(items, launcher.multiprocessors()), 1, 1, tile.threads, tile.sharedBytes);
        } else {
            launcher.run(tiles, plan.splits(), 1, tile.threads, tile.sharedBytes);
        }
        results.finish(plan.splits(), dtype, out, address, epilogue, partial, m, n, flags);
    }

    /// What the kernel takes bias and pre-activation for: the result itself may be F32.
    private static DType dtype(Tensor out, Epilogue epilogue) {
        Tensor bias = epilogue.bias();
        Tensor pre = epilogue.preActivation();
        return bias != null ? bias.dtype() : pre != null ? pre.dtype() : out.dtype();
    }

    private void operand(Scaled x) {
        launcher.tensor(x.values())
                .tensor(x.scales())
                .int32(x.blocks().rows())
                .int32(x.blocks().across(x.columns()))
                .int32(QuantizeKernels.code(x.type()));
    }

    private void map(Scaled x, int rows) {
        sizes[0] = x.columns() / PAIR;
        sizes[1] = x.rows();
        strides[0] = x.columns();
        box[1] = rows;
        launcher.tensorMap(DType.BF16, x.values().address(), sizes, strides, box, BOX_BYTES);
    }
}
