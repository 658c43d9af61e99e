package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.cuda.MatmulPlan.Tile;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class MatmulPlanTest {
    /// 132 multiprocessors as on an H200, 108 as on an A100.
    @ParameterizedTest
    @CsvSource({
        // GPT-2 124M, 8192 tokens: projections of a block, forward and for dx. 768 columns make 192 wide tiles, which
        // are 1.5 waves and take 2, or 384 of half the size, which take 3
        "8192, 2304,  768, 16, true, false, 132, true,  TMA_256, 1",
        "8192,  768,  768, 16, true, false, 132, true,  TMA_128, 1",
        "8192, 3072,  768, 16, true, false, 132, true,  TMA_256, 1",
        "8192,  768, 3072, 16, true, false, 132, true,  TMA_128, 1",
        // weight gradients: few tiles, a long inner dimension
        " 768,  768, 8192, 16, true, false, 132, true,  TMA_128, 3",
        "2304,  768, 8192, 16, true, false, 132, true,  TMA_128, 1",
        "4096, 4096, 8192, 16, true, false, 132, true,  TMA_256, 1",
        // two transposed operands have one tile
        " 768,  768, 8192, 16, true, true,  132, true,  TMA_128, 3",
        "4096, 4096, 8192, 16, true, true,  132, true,  TMA_128, 1",
        // one token, one short prompt: no taller than half a wgmma tile
        "   1, 2304,  768, 16, true, false, 132, true,  MMA_64, 1",
        "  64, 2304,  768, 16, true, false, 132, true,  MMA_64, 1",
        "  65, 2304,  768, 16, true, false, 132, true,  TMA_128, 1",
        // other architectures
        "8192, 3072,  768, 16, true, false, 108, false, MMA_128, 1",
        "8192,  768,  768, 16, true, false, 108, false, MMA_128, 1",
        " 768,  768, 8192, 16, true, false, 108, false, MMA_128, 3",
        " 256,  256,  256, 16, true, false, 108, false, MMA_64, 1",
        " 768,  768, 8192, 16, true, true,  108, false, MMA_64, 3",
        // rows that do not start on 16 bytes
        "8192, 50257, 768, 16, false, false, 132, true, SIMT_64, 1",
        // F32
        "8192, 3072,  768, 32, false, false, 132, true, SIMT_128, 1",
        " 128,  128,  128, 32, false, false, 132, true, SIMT_64, 8",
        " 256,  256, 4096, 32, false, false, 132, true, SIMT_128, 32",
        // nothing to multiply
        "   3,    7,    0, 16, true, false, 132, true,  SIMT_64, 1"
    })
    void shapesTakeTheseKernels(
            int m,
            int n,
            int k,
            int bits,
            boolean loadable,
            boolean both,
            int multiprocessors,
            boolean hopper,
            Tile tile,
            int splits) {
        assertEquals(
                new MatmulPlan(tile, splits),
                MatmulPlan.of(m, n, k, bits == 32, loadable, both, multiprocessors, hopper));
    }

    @Test
    void noSplitIsEmpty() {
        List<String> wrong = new ArrayList<>();
        for (int k = 0; k <= 3000; k += 1 + k / 7) {
            for (int m : new int[] {1, 40, 128, 300}) {
                for (boolean loadable : new boolean[] {false, true}) {
                    MatmulPlan plan = MatmulPlan.of(m, 96, k, false, loadable, false, 132, true);
                    if (plan.splits() > Math.max(1, Math.ceilDiv(k, plan.tile().depth))) {
                        wrong.add(m + "x96x" + k + ": " + plan);
                    }
                }
            }
        }
        assertEquals(List.of(), wrong);
    }

    @Test
    void plansAreRemembered() {
        var cache = new PlanCache<>(MatmulPlan.planner(132, true));
        MatmulPlan plan = cache.plan(768, 768, 8192, MatmulPlan.LOADABLE);
        assertEquals(new MatmulPlan(Tile.TMA_128, 3), plan);
        assertSame(plan, cache.plan(768, 768, 8192, MatmulPlan.LOADABLE));
        assertEquals(
                MatmulPlan.of(768, 768, 8192, true, false, false, 132, true),
                cache.plan(768, 768, 8192, MatmulPlan.F32));
        int both = MatmulPlan.LOADABLE | MatmulPlan.BOTH;
        assertEquals(MatmulPlan.of(4096, 4096, 8192, false, true, true, 132, true), cache.plan(4096, 4096, 8192, both));
        int unsplit = MatmulPlan.LOADABLE | MatmulPlan.UNSPLIT;
        assertEquals(new MatmulPlan(Tile.TMA_128, 1), cache.plan(768, 768, 8192, unsplit));
    }

    /// 227, 99 and 48 KiB are what a block may have on sm_90, on sm_89 and sm_120, and without asking.
    @Test
    void tilesFitIntoSharedMemory() {
        for (Tile t : Tile.values()) {
            int most = switch (t.path) {
                case TMA -> 227 << 10;
                case MMA, SIMT -> 48 << 10;
            };
            assertTrue(t.sharedBytes <= most, () -> t + " takes " + t.sharedBytes);
        }
    }
}
