package io.jacquard.tensor.spi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

final class PhiloxTest {
    private static void known(int[] expected, int key0, int key1, int c0, int c1, int c2, int c3) {
        int[] out = new int[4];
        Philox.words(out, key0, key1, c0, c1, c2, c3);
        assertArrayEquals(expected, out);
    }

    /// The three vectors of the authors' Random123 (kat_vectors, philox4x32 10).
    @Test
    void knownAnswers() {
        known(new int[] {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}, 0, 0, 0, 0, 0, 0);
        known(new int[] {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}, -1, -1, -1, -1, -1, -1);
        known(
                new int[] {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
                0xa4093822,
                0x299f31d0,
                0x243f6a88,
                0x85a308d3,
                0x13198a2e,
                0x03707344);
    }

    @Test
    void theCounterIsLaidOutAsWritten() {
        int[] block = new int[4];
        Philox.block(block, 0x299f31d0_a4093822L, 0x13198a2e, 0x370, 0x85a308d3, 0x7344_243f6a88L);
        known(block, 0xa4093822, 0x299f31d0, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344);
    }

    @Test
    void uniformIsBelowOne() {
        assertEquals(0f, Philox.uniform(255));
        assertEquals(0x1p-24f, Philox.uniform(256));
        assertEquals(1 - 0x1p-24f, Philox.uniform(-1));
    }

    /// Against Box-Muller in double precision. The angle's error grows with the radius (up to 5.8).
    @Test
    void normalsAreBoxMuller() {
        SplittableRandom random = new SplittableRandom(4);
        int[] corners = {0, -1, 255, 256, 0x7fffffff, 0x80000000, 0x3fffffff, 0x40000000, 0x20000000, 0xe0000000};
        float[] got = new float[4];
        for (int i = 0; i < 200_000; i++) {
            int first = i < 100 ? corners[i / 10] : random.nextInt();
            int second = i < 100 ? corners[i % 10] : random.nextInt();
            Philox.normals(got, 1, first, second);
            double r = Math.sqrt(-2 * Math.log(((first >>> 8) + 1) * 0x1p-24));
            double angle = 2 * Math.PI * ((second >>> 8) * 0x1p-24);
            assertEquals(r * Math.cos(angle), got[1], 1e-6, "cos of " + first + ", " + second);
            assertEquals(r * Math.sin(angle), got[2], 1e-6, "sin of " + first + ", " + second);
        }
        assertEquals(0f, got[0]);
        assertTrue(got[3] == 0f);
    }
}
