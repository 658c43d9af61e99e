package io.jacquard.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Philox;
import org.junit.jupiter.api.Test;

final class PhiloxTest {
    private static int[] words(int key0, int key1, int c0, int c1, int c2, int c3) {
        int[] out = new int[4];
        Philox.words(out, key0, key1, c0, c1, c2, c3);
        return out;
    }

    /// From the `kat_vectors` file of Random123.
    @Test
    void knownAnswers() {
        assertArrayEquals(new int[] {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}, words(0, 0, 0, 0, 0, 0));
        assertArrayEquals(new int[] {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}, words(-1, -1, -1, -1, -1, -1));
        assertArrayEquals(
                new int[] {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
                words(0xa4093822, 0x299f31d0, 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344));
    }

    @Test
    void counterLayout() {
        int[] out = new int[4];
        Philox.block(out, 0x299f31d0_a4093822L, 3, 5, 7, 0x1234_89abcdefL);
        assertArrayEquals(words(0xa4093822, 0x299f31d0, 0x89abcdef, 7, 3, 0x00051234), out);
    }

    /// Every pair of extreme words, against doubles.
    @Test
    void normalsFollowBoxMuller() {
        int[] extremes = {
            0, 0xff, 0x100, 1 << 29, 1 << 30, Integer.MAX_VALUE, Integer.MIN_VALUE, 0xc0000000, 0xdfffff00, -1
        };
        float[] out = new float[2];
        for (int first : extremes) {
            for (int second : extremes) {
                Philox.normals(out, 0, first, second);
                double r = Math.sqrt(-2 * Math.log(((first >>> 8) + 1) * 0x1p-24));
                double angle = 2 * Math.PI * (second >>> 8) * 0x1p-24;
                String what = Integer.toHexString(first) + " " + Integer.toHexString(second);
                assertEquals(r * Math.cos(angle), out[0], 1e-6 * r + 1e-9, what);
                assertEquals(r * Math.sin(angle), out[1], 1e-6 * r + 1e-9, what);
            }
        }
    }

    /// The kernels compute vectors of blocks; a seed and a site with all their bits.
    @Test
    void kernelsDrawTheSameWords() {
        try (Session _ = Session.open("cpu")) {
            long seed = 0xf9e8d7c6_b5a49382L;
            Tensor x = Tensor.empty(Shape.of(70_003), DType.F32);
            x.kernels().random(x, 0f, seed, 0x89abcdef);
            float[] drawn = x.toFloats();
            x.kernels().fill(x, 1f);
            x.kernels().dropout(x, x, 0.3f, seed, Tensor.of(Shape.of(2), -5, 0x1234), 0x89abcdef, 0, 0f);
            float[] dropped = x.toFloats();
            int[] words = new int[4];
            for (int i = 0; i < drawn.length; i++) {
                Philox.block(words, seed, 0, 0, 0x89abcdef, i / 4);
                assertEquals(Philox.uniform(words[i % 4]), drawn[i], "element " + i);
                Philox.block(words, seed, -5, 0x1234, 0x89abcdef, i / 4);
                assertEquals(Philox.uniform(words[i % 4]) >= 0.3f ? 1f / 0.7f : 0f, dropped[i], "element " + i);
            }
        }
    }

    @Test
    void momentsOfTheNormalNumbers() {
        try (Session _ = Session.open("cpu")) {
            Tensor x = Tensor.empty(Shape.of(1_000_003), DType.F32);
            x.kernels().random(x, 0.02f, 1234, 99);
            double sum = 0;
            double squares = 0;
            for (float v : x.toFloats()) {
                sum += v;
                squares += (double) v * v;
            }
            double n = x.size();
            // five standard errors
            assertEquals(0, sum / n, 5 * 0.02 / Math.sqrt(n));
            assertEquals(1, squares / n / (0.02 * 0.02), 5 * Math.sqrt(2 / n));
        }
    }
}
