package io.jacquard.cuda;

import io.jacquard.cuda.LowPrecisionPlan.Tile;
import io.jacquard.cuda.driver.Kernel;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import io.jacquard.tensor.spi.Scaled;

/// Products with frozen weights of 4 or 8 bits: fused for few rows of activations, else with a copy in the type of
/// these.
final class WeightsKernels {
    private final Launcher launcher;
    private final QuantizeKernels quantize;
    private final MatmulKernels dense;
    private final MatmulResults results;
    private final PlanCache<LowPrecisionPlan> plans;
    /// By tile, then by whether the weights are transposed.
    private final Kernel[][][] kernels = new Kernel[Tile.values().length][][];

    WeightsKernels(Launcher launcher, QuantizeKernels quantize, MatmulKernels dense) {
        this.launcher = launcher;
        this.quantize = quantize;
        this.dense = dense;
        this.results = new MatmulResults(launcher);
        this.plans = LowPrecisionPlan.cache(launcher.multiprocessors());
        one(Tile.WEIGHTS_SIMT);
        both(Tile.WEIGHTS_MMA_32);
        both(Tile.WEIGHTS_MMA_64);
        one(Tile.INT4_16);
        one(Tile.INT4_32);
        one(Tile.INT4_64);
    }

    private void one(Tile tile) {
        Kernel[] kernel = launcher.floats(tile.kernel);
        kernels[tile.ordinal()] = new Kernel[][] {kernel, kernel};
    }

    private void both(Tile tile) {
        kernels[tile.ordinal()] =
                new Kernel[][] {launcher.floats(tile.kernel + "_n"), launcher.floats(tile.kernel + "_t")};
    }

    void matmul(Tensor out, Tensor x, Scaled w, boolean transposed, float beta, Epilogue epilogue) {
        if (out.size() == 0) {
            return;
        }
        int n = out.shape().last();
        int m = Math.toIntExact(out.size() / n);
        int k = x.shape().last();
        if (LowPrecisionPlan.isDense(m)) {
            long address = launcher.workspace(x.dtype().bytes((long) w.rows() * w.columns()));
            quantize.dequantize(x.dtype(), address, w);
            dense.matmulDense(out, x, w.values(), address, transposed, beta, epilogue);
            return;
        }
        boolean aligned =
                x.dtype() != DType.F32 && x.address() % 16 == 0 && w.values().address() % 16 == 0;
        boolean int4 = transposed && w.type() == DType.I4;
        Tile tile = LowPrecisionPlan.weights(m, k, w.columns(), w.blocks().columns(), aligned, int4);
        run(plans.plan(m, n, k, tile.ordinal()), out, x, w, transposed, beta, epilogue, m, n, k);
    }

    private void run(
            LowPrecisionPlan plan,
            Tensor out,
            Tensor x,
            Scaled w,
            boolean transposed,
            float beta,
            Epilogue epilogue,
            int m,
            int n,
            int k) {
        Tile tile = plan.tile();
        DType dtype = x.dtype();
        int flags = MatmulResults.flags(out, dtype, beta);
        long partial = results.workspace(plan.splits(), m, n);
        launcher.start(kernels[tile.ordinal()][transposed ? 1 : 0][dtype.ordinal()]);
        results.put(out, out.address(), epilogue, partial, m, n, flags);
        launcher.tensor(x)
                .tensor(w.values())
                .tensor(w.scales())
                .tensor(w.zeros())
                .int32(w.blocks().columns())
                .int32(w.blocks().across(w.columns()))
                .int32(QuantizeKernels.code(w.type()))
                .int32(w.rows())
                .int32(w.columns())
                .int32(transposed ? 1 : 0)
                .int32(k)
                .int32(plan.splits())
                .run(tile.count(m, n), plan.splits(), 1, tile.threads, tile.sharedBytes);
        results.finish(plan.splits(), dtype, out, out.address(), epilogue, partial, m, n, flags);
    }
}
