package io.jacquard.parallel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.jacquard.group.Group;
import io.jacquard.group.LocalGroup;
import io.jacquard.group.SoloGroup;
import org.junit.jupiter.api.Test;

final class MeshTest {
    @Test
    void tensorIsFastestThenDataThenPipeline() {
        String[] ranks = new String[12];
        LocalGroup.run(12, world -> {
            try (Mesh m = new Mesh(world, new Topology(3, 2, 2))) {
                ranks[world.rank()] = m.toString();
                assertEquals(2, m.tensor().size());
                assertEquals(3, m.data().size());
                assertEquals(2, m.pipeline().size());
                assertEquals(4, m.model().size());
                assertEquals(
                        m.pipeline().rank() * 2 + m.tensor().rank(), m.model().rank());
            }
        });
        assertEquals("dp(3) * tp(2) * pp(2), rank 0: dp 0, tp 0, pp 0", ranks[0]);
        assertEquals("dp(3) * tp(2) * pp(2), rank 1: dp 0, tp 1, pp 0", ranks[1]);
        assertEquals("dp(3) * tp(2) * pp(2), rank 2: dp 1, tp 0, pp 0", ranks[2]);
        assertEquals("dp(3) * tp(2) * pp(2), rank 11: dp 2, tp 1, pp 1", ranks[11]);
    }

    @Test
    void oneRankIsAMesh() {
        Group solo = new SoloGroup();
        try (Mesh m = new Mesh(solo, Topology.ONE)) {
            assertEquals(1, m.model().size());
            assertEquals("dp(1) * tp(1) * pp(1), rank 0: dp 0, tp 0, pp 0", m.toString());
        }
    }

    @Test
    void messages() {
        refused("mesh: dp(2) * tp(4) * pp(2) = 16 does not equal the world size 1", new int[] {2, 4, 2});
        refused("mesh: tp(0) is not positive", new int[] {2, 0, 2});
    }

    private static void refused(String message, int... sizes) {
        Group solo = new SoloGroup();
        assertEquals(
                message,
                assertThrows(
                                IllegalArgumentException.class,
                                () -> new Mesh(solo, new Topology(sizes[0], sizes[1], sizes[2])))
                        .getMessage());
    }
}
