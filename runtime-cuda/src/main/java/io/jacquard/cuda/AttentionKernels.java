package io.jacquard.cuda;

import io.jacquard.cuda.driver.Kernel;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;

/// Causal attention.
///
/// Attention has paths by tensor cores (bf16 and f16, head dimensions that are multiples of 8 up to 128, 16-byte
/// aligned tensors; Hopper has its own) and one by ordinary arithmetic for everything else. Kernels are built
/// for a few head dimensions; a smaller one is padded with zeros in shared memory.
final class AttentionKernels {
    /// Keys and values that one section of blocks works on: they should stay in the second-level cache (50 MB on an
    /// H200, less what passes through it).
    private static final long SECTION_BYTES = 32L << 20;

    private final Launcher launcher;
    private final Kernel[] delta;
    private final Simt[] simt;
    private final TensorCores[] tensorCores;
    private final Hopper[] hopper;

    AttentionKernels(Launcher launcher) {
        this.launcher = launcher;
        this.delta = launcher.floats("attention_delta");
        this.simt = new Simt[] {
            new Simt(launcher, 64, 64, 32), new Simt(launcher, 128, 64, 32), new Simt(launcher, 256, 32, 16)
        };
        this.tensorCores = new TensorCores[] {
            new TensorCores(launcher, 64, 128, 128, 32), new TensorCores(launcher, 128, 64, 64, 32)
        };
        this.hopper = launcher.hopper()
                ? new Hopper[] {new Hopper(launcher, 64, 3, 3, 4), new Hopper(launcher, 128, 2, 2, 3)}
                : new Hopper[0];
    }

    void attention(Tensor out, Tensor lse, Tensor qkv, int heads, int kvHeads) {
        if (qkv.size() == 0) {
            return;
        }
        int dim = headDim(qkv, heads, kvHeads);
        if (!suitsTensorCores(qkv.dtype(), dim) || !aligned(qkv) || !aligned(out)) {
            Simt k = simt(dim);
            start(k.forward, qkv).tensor(out).tensor(lse).tensor(qkv);
            layout(qkv, heads, kvHeads);
            launcher.run(tiles(qkv, k.rows), heads, batch(qkv), Simt.THREADS, k.forwardShared());
        } else if (hopper.length > 0) {
            hopper[dim <= 64 ? 0 : 1].forward(this, out, lse, qkv, heads, kvHeads);
        } else {
            TensorCores k = tensorCores[dim <= 64 ? 0 : 1];
            start(k.forward, qkv).tensor(out).tensor(lse).tensor(qkv).int32(pairs(qkv, heads));
            layout(qkv, heads, kvHeads);
            launcher.run(tiles(qkv, k.queries) * pairs(qkv, heads), 1, 1, TensorCores.THREADS, k.forwardShared());
        }
    }

    void attentionGrad(Tensor dQkv, Tensor dOut, Tensor qkv, Tensor out, Tensor lse, int heads, int kvHeads) {
        if (qkv.size() == 0) {
            return;
        }
        int dim = headDim(qkv, heads, kvHeads);
        boolean byTensorCores = suitsTensorCores(qkv.dtype(), dim) && aligned(qkv) && aligned(dQkv) && aligned(dOut);
        if (byTensorCores && aligned(out) && hopper.length > 0) {
            hopper[dim <= 64 ? 0 : 1].gradient(this, dQkv, dOut, qkv, out, lse, heads, kvHeads);
            return;
        }
        long rows = out.size() / dim;
        long deltas = launcher.workspace(DType.F32.bytes(rows));
        start(delta, qkv).pointer(deltas).tensor(dOut).tensor(out).int64(rows);
        layout(qkv, heads, kvHeads);
        launcher.run(launcher.blocks(rows, Simt.THREADS / 8), Simt.THREADS);
        if (byTensorCores) {
            TensorCores k = tensorCores[dim <= 64 ? 0 : 1];
            gradOperands(k.gradQuery, dQkv, dOut, qkv, lse, deltas).int32(pairs(qkv, heads));
            layout(qkv, heads, kvHeads);
            launcher.run(
                    tiles(qkv, TensorCores.GRAD_QUERIES) * pairs(qkv, heads),
                    1,
                    1,
                    TensorCores.THREADS,
                    k.gradQueryShared());
            gradOperands(k.gradKey, dQkv, dOut, qkv, lse, deltas);
            layout(qkv, heads, kvHeads);
            launcher.run(tiles(qkv, k.gradKeys), kvHeads, batch(qkv), TensorCores.THREADS, k.gradKeyShared());
        } else {
            Simt k = simt(dim);
            gradOperands(k.gradQuery, dQkv, dOut, qkv, lse, deltas);
            layout(qkv, heads, kvHeads);
            launcher.run(tiles(qkv, k.gradRows), heads, batch(qkv), Simt.THREADS, k.gradQueryShared());
            gradOperands(k.gradKey, dQkv, dOut, qkv, lse, deltas);
            layout(qkv, heads, kvHeads);
            launcher.run(tiles(qkv, k.gradRows), kvHeads, batch(qkv), Simt.THREADS, k.gradKeyShared());
        }
    }

    private Launcher start(Kernel[] kernels, Tensor qkv) {
        return launcher.start(kernels[qkv.dtype().ordinal()]);
    }

    private Launcher gradOperands(Kernel[] kernels, Tensor dQkv, Tensor dOut, Tensor qkv, Tensor lse, long deltas) {
        return start(kernels, qkv)
                .tensor(dQkv)
                .tensor(dOut)
                .tensor(qkv)
                .tensor(lse)
                .pointer(deltas);
    }

    /// `HEADS` of attention.cuh.
    private void layout(Tensor qkv, int heads, int kvHeads) {
        int time = qkv.shape().dim(1);
        int dim = headDim(qkv, heads, kvHeads);
        long keysAndValues = qkv.dtype().bytes(2L * time * dim);
        int section = Math.clamp(SECTION_BYTES / keysAndValues, 1, 1 << 16) * (heads / kvHeads);
        launcher.int32(time)
                .int32(heads)
                .int32(kvHeads)
                .int32(dim)
                .float32((float) (1 / Math.sqrt(dim)))
                .int32(Math.min(section, pairs(qkv, heads)));
    }

    private static int headDim(Tensor qkv, int heads, int kvHeads) {
        return qkv.shape().last() / (heads + 2 * kvHeads);
    }

    private static int batch(Tensor qkv) {
        return qkv.shape().dim(0);
    }

    private static int pairs(Tensor qkv, int heads) {
        return batch(qkv) * heads;
    }

    private static int tiles(Tensor qkv, int rows) {
        return (qkv.shape().dim(1) + rows - 1) / rows;
    }

    private static boolean suitsTensorCores(DType dtype, int dim) {
        return dtype != DType.F32 && dim % 8 == 0 && dim <= 128;
    }

    private static boolean aligned(Tensor tensor) {
        return tensor.address() % 16 == 0;
    }

    private Simt simt(int dim) {
        for (Simt s : simt) {
            if (dim <= s.dim) {
                return s;
            }
        }
        throw new UnsupportedOperationException(
                "attention: head dimension " + dim + " is more than the " + simt[simt.length - 1].dim
                        + " that the CUDA kernels are built for; use more heads of fewer dimensions");
    }

    /// attention_simt.cu for head dimensions up to `dim`, with its tiles of `rows` and `gradRows`.
    private static final class Simt {
        static final int THREADS = 256;

        final int dim;
        final int rows;
        final int gradRows;
        final Kernel[] forward;
        final Kernel[] gradQuery;
        final Kernel[] gradKey;

        Simt(Launcher launcher, int dim, int rows, int gradRows) {
            this.dim = dim;
            this.rows = rows;
            this.gradRows = gradRows;
            this.forward = launcher.floats("attention_simt_d" + dim);
            this.gradQuery = launcher.floats("attention_simt_grad_query_d" + dim);
            this.gradKey = launcher.floats("attention_simt_grad_key_d" + dim);
        }

        /// `tiles` of elements and `scores` of scores, each row with four floats to spare.
        private int shared(int rows, int tiles, int scores) {
            return Float.BYTES * rows * (tiles * (dim + 4) + scores * (rows + 4));
        }

        int forwardShared() {
            return shared(rows, 2, 1);
        }

        int gradQueryShared() {
            return shared(gradRows, 4, 1);
        }

        int gradKeyShared() {
            return shared(gradRows, 4, 2);
        }
    }

    /// attention_mma.cu and attention_mma_grad.cu for head dimensions up to `dim`: tiles of `queries` forward, of
    /// `gradKeys` by `gradTurn` queries for the gradient of the keys.
    private static final class TensorCores {
        static final int THREADS = 128;
        static final int KEYS = 64;
        static final int GRAD_QUERIES = 64;

        final int dim;
        final int queries;
        final int gradKeys;
        final int gradTurn;
        final Kernel[] forward;
        final Kernel[] gradQuery;
        final Kernel[] gradKey;

        TensorCores(Launcher launcher, int dim, int queries, int gradKeys, int gradTurn) {
            this.dim = dim;
            this.queries = queries;
            this.gradKeys = gradKeys;
            this.gradTurn = gradTurn;
            this.forward = launcher.floats("attention_mma_d" + dim);
            this.gradQuery = launcher.floats("attention_mma_grad_query_d" + dim);
            this.gradKey = launcher.floats("attention_mma_grad_key_d" + dim);
        }

        private int tile(int rows) {
            return Short.BYTES * rows * dim;
        }

        int forwardShared() {
            return tile(queries) + 4 * tile(KEYS);
        }

        int gradQueryShared() {
            return 2 * tile(GRAD_QUERIES) + 4 * tile(KEYS);
        }

        int gradKeyShared() {
            return 2 * tile(gradKeys) + 2 * (2 * tile(gradTurn) + 2 * gradTurn * Float.BYTES);
        }
    }

    /// attention_sm90.cu and attention_sm90_grad.cu for head dimensions up to `dim`: forward, `groups` warpgroups
    /// of 64 queries each and `stages` of 128 keys and values; for the gradient tiles of 128 by 64 in `gradStages`.
    private static final class Hopper {
        static final int KEYS = 128;
        static final int GROUP_ROWS = 64;
        static final int WARPGROUP = 128;
        static final int GRAD_ROWS = 128;
        static final int GRAD_COLUMNS = 64;
        static final int GRAD_GROUPS = 2;
        static final int PREPARE_THREADS = 256;

        /// Elements of a row that TMA fetches at once: the 128 bytes of its swizzle.
        static final int PANEL = 64;

        final int dim;
        final int groups;
        final int stages;
        final int gradStages;
        final Kernel[] forward;
        final Kernel[] prepare;
        final Kernel[] gradQuery;
        final Kernel[] gradKey;
        final long[] sizes = new long[4];
        final long[] strides = new long[3];
        final int[] box = {PANEL, 1, 0, 1};

        Hopper(Launcher launcher, int dim, int groups, int stages, int gradStages) {
            this.dim = dim;
            this.groups = groups;
            this.stages = stages;
            this.gradStages = gradStages;
            this.forward = launcher.floats("attention_sm90_d" + dim);
            this.prepare = launcher.floats("attention_sm90_prepare");
            this.gradQuery = launcher.floats("attention_sm90_grad_query_d" + dim);
            this.gradKey = launcher.floats("attention_sm90_grad_key_d" + dim);
        }

        void forward(AttentionKernels family, Tensor out, Tensor lse, Tensor qkv, int heads, int kvHeads) {
            int total = tiles(qkv, groups * GROUP_ROWS) * pairs(qkv, heads);
            Launcher launcher = family.start(forward, qkv).tensor(out).tensor(lse);
            map(launcher, qkv, heads + 2 * kvHeads, groups * GROUP_ROWS);
            map(launcher, qkv, heads + 2 * kvHeads, KEYS);
            launcher.int32(total).int32(pairs(qkv, heads));
            family.layout(qkv, heads, kvHeads);
            launcher.run(Math.min(total, launcher.multiprocessors()), 1, 1, (groups + 1) * WARPGROUP, shared());
        }

        void gradient(
                AttentionKernels family,
                Tensor dQkv,
                Tensor dOut,
                Tensor qkv,
                Tensor out,
                Tensor lse,
                int heads,
                int kvHeads) {
            int tiles = tiles(qkv, GRAD_ROWS);
            long rows = (long) tiles * GRAD_ROWS * pairs(qkv, heads);
            Launcher launcher = family.launcher;
            long statistics = launcher.workspace(DType.F32.bytes(2 * rows));
            family.start(prepare, qkv)
                    .pointer(statistics)
                    .tensor(dOut)
                    .tensor(out)
                    .tensor(lse)
                    .int64(rows);
            family.layout(qkv, heads, kvHeads);
            launcher.run(launcher.blocks(rows, PREPARE_THREADS / 8), PREPARE_THREADS);

            gradOperands(family, gradQuery, dQkv, dOut, qkv, statistics, heads, kvHeads, GRAD_ROWS);
            launcher.run(tiles * pairs(qkv, heads), 1, 1, (GRAD_GROUPS + 1) * WARPGROUP, gradShared());
            gradOperands(family, gradKey, dQkv, dOut, qkv, statistics, heads, kvHeads, GRAD_COLUMNS);
            launcher.run(tiles * pairs(qkv, kvHeads), 1, 1, (GRAD_GROUPS + 1) * WARPGROUP, gradShared());
        }

        private void gradOperands(
                AttentionKernels family,
                Kernel[] kernels,
                Tensor dQkv,
                Tensor dOut,
                Tensor qkv,
                long statistics,
                int heads,
                int kvHeads,
                int dOutRows) {
            Launcher launcher = family.start(kernels, qkv).tensor(dQkv).pointer(statistics);
            map(launcher, qkv, heads + 2 * kvHeads, GRAD_ROWS);
            map(launcher, qkv, heads + 2 * kvHeads, GRAD_COLUMNS);
            map(launcher, dOut, heads, dOutRows);
            launcher.int32(pairs(qkv, heads));
            family.layout(qkv, heads, kvHeads);
        }

        /// A tensor `[B, T, heads * headDim]` of which a fetch takes `rows` positions of one head; what lies
        /// beyond the head's dimensions or the sequence's end arrives as zeros.
        private void map(Launcher launcher, Tensor tensor, int heads, int rows) {
            int headDim = tensor.shape().last() / heads;
            sizes[0] = headDim;
            sizes[1] = heads;
            sizes[2] = tensor.shape().dim(1);
            sizes[3] = batch(tensor);
            strides[0] = tensor.dtype().bytes(headDim);
            strides[1] = strides[0] * heads;
            strides[2] = strides[1] * sizes[2];
            box[2] = rows;
            launcher.tensorMap(tensor.dtype(), tensor.address(), sizes, strides, box, 2 * PANEL);
        }

        /// `Sm90Plan::BYTES`: queries and as much for the result on its way out, the stages, the barriers.
        private int shared() {
            int row = Short.BYTES * dim;
            return row * (2 * groups * GROUP_ROWS + 2 * stages * KEYS) + Long.BYTES * (2 + 4 * stages);
        }

        /// `GradPlan::BYTES`: two tiles of rows, the stages with two statistics per column, the barriers.
        private int gradShared() {
            int row = Short.BYTES * dim;
            return 2 * row * (GRAD_ROWS + gradStages * GRAD_COLUMNS)
                    + gradStages * 2 * GRAD_COLUMNS * Float.BYTES
                    + Long.BYTES * (1 + 2 * gradStages);
        }
    }
}
