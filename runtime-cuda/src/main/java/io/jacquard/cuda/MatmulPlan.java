package io.jacquard.cuda;

/// How one shape of matrix product runs: by which kernel, and in how many parts of the inner dimension (their sums are
/// added in order by a second launch). A function of the shape and the device alone, so that runs repeat bit for bit.
record MatmulPlan(Tile tile, int splits) {
    /// Kinds of kernels; what each can multiply.
    enum Path {
        /// Ordinary fp32 units: any shape, alignment and dtype.
        SIMT,
        /// Tensor cores by `mma.sync`: 16-bit operands on 16-byte boundaries, rows of a multiple of 8 elements.
        MMA,
        /// Tensor cores by `wgmma`, tiles fetched by TMA: the same, on a Hopper device.
        TMA
    }

    /// The kernels. The rates are multiply-adds per clock of one multiprocessor, estimates from what limits the
    /// tile; only their ratios within a path matter.
    enum Tile {
        // 128 fp32 units: 8 x 8 sums per thread read 16 floats per 64 products, 4 x 4 sums 8 per 16
        SIMT_128(Path.SIMT, "gemm_simt_128", 128, 128, 8, 256, 4 * 8 * 132 * 4, 110),
        SIMT_64(Path.SIMT, "gemm_simt_64", 64, 64, 16, 256, 4 * 16 * 68 * 4, 64),
        // 1024 on sm_80: a 32 x 32 quarter reads twice the shared memory per product of a 64 x 64 one
        MMA_128(Path.MMA, "gemm_mma_128", 128, 128, 32, 128, 3 * 16_384, 800),
        MMA_64(Path.MMA, "gemm_mma_64", 64, 64, 32, 128, 4 * 8_192, 450),
        // 2048 on sm_90: 64 x 256 x 16 reads 80 bytes of shared memory per clock, 64 x 128 x 16 reads 96, of 128
        TMA_256(Path.TMA, "gemm_sm90_256", 128, 256, 64, 384, 4 * 49_152 + 20_480 + 2 * 4 * 8, 1700),
        TMA_128(Path.TMA, "gemm_sm90_128", 128, 128, 64, 384, 6 * 32_768 + 20_480 + 2 * 6 * 8, 1500);

        final Path path;
        final String kernel;
        final int height;
        final int width;

        /// Steps of the inner dimension that are loaded together.
        final int depth;

        final int threads;
        final int sharedBytes;
        private final double rate;

        Tile(Path path, String kernel, int height, int width, int depth, int threads, int sharedBytes, double rate) {
            this.path = path;
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
            return Math.toIntExact((long) ceilDiv(m, height) * ceilDiv(n, width));
        }
    }

    // bits of the kind of a product, for `Planner`
    static final int F32 = 1;
    static final int LOADABLE = 2;
    static final int BOTH = 4;

    /// Not split, whatever that costs.
    static final int UNSPLIT = 8;

    private static final Tile[] TILES = Tile.values();

    /// Each split costs 4 bytes per result written and read again: more than this many never paid in the estimate
    /// below for any shape of a transformer.
    private static final int MOST_SPLITS = 32;

    /// Clocks before a block's first product and after its last: one trip to memory to fill the stages (about 800)
    /// and the results on their way out.
    private static final double FILL_CLOCKS = 2000;

    /// A second launch: about 3 µs.
    private static final double LAUNCH_CLOCKS = 5000;

    /// Bytes per clock and multiprocessor of the partial sums, which mostly stay in the second-level cache.
    private static final double PARTIAL_BYTES_PER_CLOCK = 16;

    /// `m`, `n`, `k` >= 1, or `k` = 0. `loadable`: 16-bit operands on 16-byte boundaries with rows of a multiple of
    /// 8 elements. `both`: a and b are both transposed, which no op asks for and which has one tile per path.
    static MatmulPlan of(
            int m, int n, int k, boolean f32, boolean loadable, boolean both, int multiprocessors, boolean hopper) {
        Path path = path(m, n, k, loadable, hopper);
        Tile best = Tile.SIMT_64;
        int bestSplits = 1;
        double least = Double.POSITIVE_INFINITY;
        for (Tile tile : TILES) {
            if (tile.path != path || (tile == Tile.SIMT_128 && !f32) || (both && isOnlyForOps(tile))) {
                continue;
            }
            int most = Math.clamp(ceilDiv(k, tile.depth), 1, MOST_SPLITS);
            for (int splits = 1; splits <= most; splits++) {
                double clocks =
                        clocks(tile.height, tile.width, tile.depth, tile.rate, m, n, k, splits, multiprocessors);
                if (clocks < least) {
                    least = clocks;
                    best = tile;
                    bestSplits = splits;
                }
            }
        }
        return new MatmulPlan(best, bestSplits);
    }

    /// Plans for a device.
    static Planner<MatmulPlan> planner(int multiprocessors, boolean hopper) {
        return (m, n, k, kind) -> {
            boolean f32 = (kind & F32) != 0;
            boolean loadable = (kind & LOADABLE) != 0;
            MatmulPlan plan = of(m, n, k, f32, loadable, (kind & BOTH) != 0, multiprocessors, hopper);
            return (kind & UNSPLIT) == 0 ? plan : new MatmulPlan(plan.tile, 1);
        };
    }

    private static Path path(int m, int n, int k, boolean loadable, boolean hopper) {
        if (!loadable || k == 0) {
            return Path.SIMT;
        }
        // the smallest wgmma tile is 128 x 128: of a result no taller or wider than 64 more than half would be waste
        return hopper && m > 64 && n > 64 ? Path.TMA : Path.MMA;
    }

    private static boolean isOnlyForOps(Tile tile) {
        return tile == Tile.MMA_128 || tile == Tile.TMA_256;
    }

    /// The time of the busiest multiprocessor: whole waves of tiles, since a wave that is not full takes as long as
    /// one that is. That is what decides between a large tile and a small one, and for splitting.
    private static double clocks(
            int height, int width, int depth, double rate, int m, int n, int k, int splits, int multiprocessors) {
        long blocks = (long) ceilDiv(m, height) * ceilDiv(n, width) * splits;
        long waves = (blocks + multiprocessors - 1) / multiprocessors;
        double steps = (double) ceilDiv(ceilDiv(k, depth), splits) * depth;
        double clocks = waves * (height * width * steps / rate + FILL_CLOCKS);
        if (splits > 1) {
            double bytes = 8.0 * m * n * splits;
            clocks += LAUNCH_CLOCKS + bytes / (PARTIAL_BYTES_PER_CLOCK * multiprocessors);
        }
        return clocks;
    }

    /// The number of splits that is fastest by the same estimate, for the one tile that a product may take.
    static int splits(int height, int width, int depth, double rate, int m, int n, int k, int multiprocessors) {
        int most = Math.clamp(ceilDiv(k, depth), 1, MOST_SPLITS);
        int best = 1;
        double least = Double.POSITIVE_INFINITY;
        for (int splits = 1; splits <= most; splits++) {
            double clocks = clocks(height, width, depth, rate, m, n, k, splits, multiprocessors);
            if (clocks < least) {
                least = clocks;
                best = splits;
            }
        }
        return best;
    }

    private static int ceilDiv(int x, int y) {
        return Math.ceilDiv(x, y);
    }
}
