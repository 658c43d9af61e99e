package io.jacquard.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class ScheduleTest {
    @Test
    void warmupIsLinearAndReachesThePeak() {
        Schedule s = Schedule.cosine(1f, 4, 20, 0.1f);
        assertEquals(0.25f, s.at(0));
        assertEquals(0.5f, s.at(1));
        assertEquals(1f, s.at(3));
        assertEquals(1f, s.at(4));
    }

    @Test
    void cosineFallsToTheFloorAndStays() {
        Schedule s = Schedule.cosine(1f, 4, 20, 0.1f);
        assertEquals(0.55f, s.at(12), 1e-6f); // half way: the mean of peak and floor
        assertEquals(0.1f, s.at(20), 1e-7f);
        assertEquals(0.1f, s.at(1000), 1e-7f);
        for (long i = 5; i <= 20; i++) {
            assertTrue(s.at(i) < s.at(i - 1), "step " + i);
        }
    }

    @Test
    void warmupStableDecayHasAPlateau() {
        Schedule s = Schedule.warmupStableDecay(2f, 2, 10, 4, 0f);
        assertEquals(2f, s.at(2));
        assertEquals(2f, s.at(6));
        assertEquals(1f, s.at(8), 1e-6f);
        assertEquals(0f, s.at(10));
    }

    @Test
    void linearFallsFromTheEndOfTheWarmup() {
        Schedule s = Schedule.linear(1f, 0, 4, 0f);
        assertEquals(1f, s.at(0));
        assertEquals(0.75f, s.at(1));
        assertEquals(0f, s.at(4));
        assertEquals(3e-4f, Schedule.constant(3e-4f).at(99));
    }

    @Test
    void impossibleSchedulesSaySo() {
        assertEquals(
                "schedule: expected 0 <= floor <= peak and 0 <= warmup <= total, got floor 0.5, peak 0.1, warmup 1, total 2",
                assertThrows(IllegalArgumentException.class, () -> Schedule.cosine(0.1f, 1, 2, 0.5f))
                        .getMessage());
        assertEquals(
                "schedule: 9 decay steps do not fit 10 steps with 2 of warmup",
                assertThrows(IllegalArgumentException.class, () -> Schedule.warmupStableDecay(1f, 2, 10, 9, 0f))
                        .getMessage());
    }
}
