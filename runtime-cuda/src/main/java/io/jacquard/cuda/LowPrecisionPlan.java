package io.jacquard.cuda;

import io.jacquard.tensor.DType;

/// How a product with low-precision operands runs: by which kernel, and in how many parts of the inner dimension. As
/// [MatmulPlan], a function of the shape and the device alone.
record LowPrecisionPlan(Tile tile, int splits) {
    /// Compute capabilities: the first with products of 8-bit floats, and that of `wgmma`.
    static final int ADA = 89;

    static final int HOPPER = 90;

    /// More rows of activations than this are worth a copy of the weights in their type: the tiles of the fused
    /// kernels make floats of each weight again for every 64 rows.
    private static final int MOST_FUSED_ROWS = 512;

    /// Weights that one thread makes floats of in one go: they must be in one group, and whole in memory.
    private static final int RUN = 32;

    /// Blocks of a product of few rows with weights of 4 bits that share a multiprocessor: it takes three to have
    /// enough of the weights on their way.
    private static final int RESIDENT = 3;

    /// The kernels; rates as those of [MatmulPlan.Tile].
    enum Tile {
        SCALED_SIMT("gemm_scaled_simt", 64, 64, 128, 256, 4 * 16 * 68 * 4, 60),
        SCALED_MMA("gemm_scaled_mma", 128, 128, 128, 256, 4 * 16_384, 1600),
        SCALED_TMA("gemm_scaled_sm90", 128, 128, 128, 384, 6 * 32_768 + 20_480 + 2 * 6 * 8, 3000),
        WEIGHTS_SIMT("gemm_weights_simt", 64, 64, 16, 256, 4 * 16 * 68 * 4, 50),
        // limited by making floats of 128 x 32 weights, whatever the rows
        WEIGHTS_MMA_32("gemm_weights_mma_32", 32, 128, 32, 128, 6 * 2_048 + 2 * 8_192 + 6 * (4_096 + 512), 200),
        WEIGHTS_MMA_64("gemm_weights_mma_64", 64, 128, 32, 128, 6 * 4_096 + 2 * 8_192 + 6 * (4_096 + 512), 350),
        // of each of the blocks that share a multiprocessor
        INT4_16("gemm_int4_16", 16, 128, 64, 128, 5 * (2_048 + 8_192), 180),
        INT4_32("gemm_int4_32", 32, 128, 64, 128, 5 * (4_096 + 8_192), 320),
        INT4_64("gemm_int4_64", 64, 128, 64, 128, 4 * (8_192 + 8_192), 1000);

        final String kernel;
        final int height;
        final int width;

        /// Steps of the inner dimension that a split cannot share out.
        final int depth;

        final int threads;
        final int sharedBytes;
        private final double rate;

        Tile(String kernel, int height, int width, int depth, int threads, int sharedBytes, double rate) {
            this.kernel = kernel;
            this.height = height;
            this.width = width;
            this.depth = depth;
            this.threads = threads;
            this.sharedBytes = sharedBytes;
            this.rate = rate;
        }

        /// Tiles of an `[m, n]` result.
        int count(int m, int n) {
            return Math.toIntExact((long) Math.ceilDiv(m, height) * Math.ceilDiv(n, width));
        }
    }

    private static final Tile[] TILES = Tile.values();

    /// The plans of a device; a product's kind is the ordinal of its tile.
    static PlanCache<LowPrecisionPlan> cache(int multiprocessors) {
        return new PlanCache<>((m, n, k, tile) -> of(TILES[tile], m, n, k, multiprocessors));
    }

    static LowPrecisionPlan of(Tile t, int m, int n, int k, int multiprocessors) {
        int places = t == Tile.INT4_16 || t == Tile.INT4_32 ? RESIDENT * multiprocessors : multiprocessors;
        return new LowPrecisionPlan(t, MatmulPlan.splits(t.height, t.width, t.depth, t.rate, m, n, k, places));
    }

    /// The kernel of a product of two scaled matrices. `aligned`: both start on 16-byte boundaries.
    static Tile scaled(int m, int n, int k, DType a, DType b, boolean aligned, int capability) {
        boolean floats = isFloat(a) && isFloat(b);
        boolean integers = a == DType.I8 && b == DType.I8;
        boolean loadable = aligned && k > 0 && k % 16 == 0;
        if (loadable && floats && capability == HOPPER && m > 64 && n > 64) {
            return Tile.SCALED_TMA;
        }
        return loadable && (integers || floats && capability >= ADA) ? Tile.SCALED_MMA : Tile.SCALED_SIMT;
    }

    private static boolean isFloat(DType type) {
        return type == DType.F8E4M3 || type == DType.F8E5M2;
    }

    /// Whether `m` rows of activations multiply a copy of the weights.
    static boolean isDense(int m) {
        return m > MOST_FUSED_ROWS;
    }

    /// The kernel of a product with weights of `columns` in groups of `group`. `aligned`: 16-bit activations and
    /// weights that start on 16-byte boundaries; `int4`: weights of 4 bits, transposed.
    static Tile weights(int m, int k, int columns, int group, boolean aligned, boolean int4) {
        boolean runs = columns % RUN == 0 && (group % RUN == 0 || group >= columns);
        if (!aligned || !runs || k == 0 || k % 8 != 0) {
            return Tile.WEIGHTS_SIMT;
        }
        if (int4) {
            return m > 32 ? Tile.INT4_64 : m > 16 ? Tile.INT4_32 : Tile.INT4_16;
        }
        return m <= 32 ? Tile.WEIGHTS_MMA_32 : Tile.WEIGHTS_MMA_64;
    }
}
