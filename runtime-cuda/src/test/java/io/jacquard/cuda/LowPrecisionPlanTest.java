package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.cuda.LowPrecisionPlan.Tile;
import io.jacquard.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class LowPrecisionPlanTest {
    /// 132 multiprocessors as on an H200, 108 as on an A100.
    @ParameterizedTest
    @CsvSource({
        // 8-bit floats: by wgmma on Hopper, by mma.sync where that has them, else by the ordinary units
        "8192, 3072, 768, F8E4M3, F8E4M3, true,  90, 132, SCALED_TMA, 1",
        "8192, 3072, 768, F8E5M2, F8E4M3, true,  90, 132, SCALED_TMA, 1",
        "8192, 3072, 768, F8E4M3, F8E4M3, true,  89, 132, SCALED_MMA, 1",
        "8192, 3072, 768, F8E4M3, F8E4M3, true, 120, 132, SCALED_MMA, 1",
        "8192, 3072, 768, F8E4M3, F8E4M3, true,  80, 108, SCALED_SIMT, 1",
        // weight gradients: few tiles, a long inner dimension
        " 768,  768, 8192, F8E5M2, F8E4M3, true,  90, 132, SCALED_TMA, 3",
        // no taller than half a wgmma tile
        "  64, 3072, 768, F8E4M3, F8E4M3, true,  90, 132, SCALED_MMA, 1",
        "  65, 3072, 768, F8E4M3, F8E4M3, true,  90, 132, SCALED_TMA, 1",
        // integers
        "8192, 3072, 768, I8, I8, true, 80, 108, SCALED_MMA, 1",
        "8192, 3072, 768, I8, I8, true, 90, 132, SCALED_MMA, 1",
        "8192, 3072, 768, I4, I4, true, 90, 132, SCALED_SIMT, 1",
        // rows that do not start on 16 bytes; nothing to multiply
        "8192, 3072, 768, I8, I8, false, 90, 132, SCALED_SIMT, 1",
        "8192, 3072, 776, I8, I8, true,  90, 132, SCALED_SIMT, 1",
        "   3,    7,   0, I8, I8, true,  90, 132, SCALED_SIMT, 1"
    })
    void scaledShapesTakeTheseKernels(
            int m,
            int n,
            int k,
            DType a,
            DType b,
            boolean aligned,
            int capability,
            int multiprocessors,
            Tile tile,
            int splits) {
        assertEquals(tile, LowPrecisionPlan.scaled(m, n, k, a, b, aligned, capability));
        assertEquals(splits, LowPrecisionPlan.of(tile, m, n, k, multiprocessors).splits());
    }

    @ParameterizedTest
    @CsvSource({
        // one token, one prompt; of 8 bits, or not transposed
        "  1, 4096, 4096, 4096, 128, true, false, WEIGHTS_MMA_32, 4",
        " 32, 4096, 4096, 4096,  32, true, false, WEIGHTS_MMA_32, 4",
        " 33, 4096, 4096, 4096,  64, true, false, WEIGHTS_MMA_64, 4",
        "512, 4096, 4096, 4096, 128, true, false, WEIGHTS_MMA_64, 1",
        // of 4 bits
        "  1, 4096, 4096, 4096, 128, true, true, INT4_16, 11",
        " 16, 4096, 4096, 4096,  32, true, true, INT4_16, 11",
        " 17, 4096, 4096, 4096,  64, true, true, INT4_32, 11",
        " 33, 4096, 4096, 4096,  64, true, true, INT4_64, 4",
        "512, 4096, 4096, 4096, 128, true, true, INT4_64, 1",
        // a group that is all of a row
        " 33, 4096, 96, 96, 128, true, false, WEIGHTS_MMA_64, 1",
        " 33, 4096, 96, 96, 128, true, true, INT4_64, 1",
        // runs of 32 weights that are not whole, or of two groups; activations off alignment
        " 33, 4096, 4104, 4104, 64, true, true, WEIGHTS_SIMT, 2",
        " 33, 4096, 4096, 4096, 48, true, true, WEIGHTS_SIMT, 2",
        " 33, 4096, 4096, 4096, 64, false, true, WEIGHTS_SIMT, 2",
        "  3,    7,    0,    0, 64, true, true, WEIGHTS_SIMT, 1"
    })
    void weightsTakeTheseKernels(
            int m, int n, int k, int columns, int group, boolean aligned, boolean int4, Tile tile, int splits) {
        assertEquals(tile, LowPrecisionPlan.weights(m, k, columns, group, aligned, int4));
        assertEquals(splits, LowPrecisionPlan.of(tile, m, n, k, 132).splits());
    }

    @Test
    void manyRowsMultiplyACopy() {
        assertFalse(LowPrecisionPlan.isDense(512));
        assertTrue(LowPrecisionPlan.isDense(513));
    }

    @Test
    void plansAreRememberedByTile() {
        PlanCache<LowPrecisionPlan> cache = LowPrecisionPlan.cache(132);
        LowPrecisionPlan plan = cache.plan(16, 4096, 4096, Tile.INT4_16.ordinal());
        assertEquals(new LowPrecisionPlan(Tile.INT4_16, 11), plan);
        assertSame(plan, cache.plan(16, 4096, 4096, Tile.INT4_16.ordinal()));
        assertEquals(
                new LowPrecisionPlan(Tile.WEIGHTS_MMA_32, 4),
                cache.plan(16, 4096, 4096, Tile.WEIGHTS_MMA_32.ordinal()));
    }

    @Test
    void noSplitIsEmpty() {
        List<String> wrong = new ArrayList<>();
        for (int k = 0; k <= 3000; k += 1 + k / 7) {
            for (int m : new int[] {1, 40, 128, 300}) {
                for (Tile tile : Tile.values()) {
                    LowPrecisionPlan p = LowPrecisionPlan.of(tile, m, 96, k, 132);
                    if (p.splits() > Math.max(1, Math.ceilDiv(k, tile.depth))) {
                        wrong.add(m + "x96x" + k + ": " + p);
                    }
                }
            }
        }
        assertEquals(List.of(), wrong);
    }
}
