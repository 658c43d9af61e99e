package io.jacquard.tensor.spi;

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): the only source of random
/// numbers on every device. Pure functions of key and counter, so that recomputation, replay and shards repeat exactly.
///
/// **Counter of element `i`** (global, logical, 64 bits) with `block = i / 4`:
///
/// | word | content |
/// | --- | --- |
/// | 0 | bits 0 to 31 of `block` |
/// | 1 | `site` |
/// | 2 | `step` |
/// | 3 | bits 32 to 47 of `block`, and `micro-batch` shifted left by 16 |
///
/// **Key**: the low, then the high 32 bits of `seed`. The element's word is output word `i % 4`.
///
/// **Uniform** in [0, 1): `(word >>> 8) * 2^-24`, exact. Dropout keeps an element where it is `>= p`.
///
/// **Normal**: Box-Muller over the output words in pairs (0, 1) and (2, 3), see [#normals]; every operation in it is a
/// correctly rounded F32 one (`fma` where written so), so any device gives the same bits.
///
/// Known answers (from the authors' Random123): key {0, 0}, counter {0, 0, 0, 0} gives 6627e8d5 e169c58d bc57ac4c
/// 9b00dbd8; all bits set gives 408f276d 41c83b0e a20bc7c6 6d5451fd.
public final class Philox {
    private static final int M0 = 0xD2511F53;
    private static final int M1 = 0xCD9E8D57;
    private static final int W0 = 0x9E3779B9;
    private static final int W1 = 0xBB67AE85;
    private static final int ROUNDS = 10;
    private static final float SCALE = 0x1p-24f;

    private Philox() {}

    /// The four words of the block, with the counter laid out as above, into `out`.
    public static void block(int[] out, long seed, int step, int microBatch, int site, long block) {
        words(
                out,
                (int) seed,
                (int) (seed >>> 32),
                (int) block,
                site,
                step,
                (int) (block >>> 32) & 0xffff | microBatch << 16);
    }

    /// The bare function.
    public static void words(int[] out, int key0, int key1, int c0, int c1, int c2, int c3) {
        int k0 = key0;
        int k1 = key1;
        for (int i = 0; i < ROUNDS; i++) {
            long p0 = (M0 & 0xffffffffL) * (c0 & 0xffffffffL);
            long p1 = (M1 & 0xffffffffL) * (c2 & 0xffffffffL);
            c0 = (int) (p1 >>> 32) ^ c1 ^ k0;
            c1 = (int) p1;
            c2 = (int) (p0 >>> 32) ^ c3 ^ k1;
            c3 = (int) p0;
            k0 += W0;
            k1 += W1;
        }
        out[0] = c0;
        out[1] = c1;
        out[2] = c2;
        out[3] = c3;
    }

    /// In [0, 1).
    public static float uniform(int word) {
        return (word >>> 8) * SCALE;
    }

    /// Two standard normal numbers from two words into `out[at]` and `out[at + 1]`:
    /// `r = sqrt(-2 ln u)` with `u = ((first >>> 8) + 1) * 2^-24` in (0, 1]; angle `2 pi v`, `v = (second >>> 8) *
    /// 2^-24`; then `r cos`, `r sin`.
    public static void normals(float[] out, int at, int first, int second) {
        float u = ((first >>> 8) + 1) * SCALE;
        float r = (float) Math.sqrt(-2f * log(u));
        float quarters = (second >>> 8) * 0x1p-22f; // quarter turns in [0, 4)
        int k = (int) (quarters + 0.5f);
        float x = (quarters - k) * 1.57079633f; // [-pi/4, pi/4]
        float s = sin(x);
        float c = cos(x);
        float cosine = (k & 1) == 0 ? c : s;
        float sine = (k & 1) == 0 ? s : c;
        out[at] = r * ((k + 1 & 2) == 0 ? cosine : -cosine);
        out[at + 1] = r * ((k & 2) == 0 ? sine : -sine);
    }

    /// ln of a normal float in (0, 1]: `x = m * 2^e`, m in [sqrt(1/2), sqrt(2)), polynomial of Cephes `logf`.
    private static float log(float x) {
        int bits = Float.floatToRawIntBits(x);
        int e = (bits >> 23) - 126;
        float m = Float.intBitsToFloat(bits & 0x7fffff | 0x3f000000);
        if (m < 0.70710678f) {
            e -= 1;
            m = m + m;
        }
        m = m - 1f;
        float z = m * m;
        float p = 7.0376836292e-2f;
        p = Math.fma(p, m, -1.1514610310e-1f);
        p = Math.fma(p, m, 1.1676998740e-1f);
        p = Math.fma(p, m, -1.2420140846e-1f);
        p = Math.fma(p, m, 1.4249322787e-1f);
        p = Math.fma(p, m, -1.6668057665e-1f);
        p = Math.fma(p, m, 2.0000714765e-1f);
        p = Math.fma(p, m, -2.4999993993e-1f);
        p = Math.fma(p, m, 3.3333331174e-1f);
        float y = p * m * z;
        y = Math.fma((float) e, -2.12194440e-4f, y);
        y = Math.fma(-0.5f, z, y);
        return Math.fma((float) e, 0.693359375f, m + y);
    }

    private static float sin(float x) {
        float z = x * x;
        float p = Math.fma(Math.fma(-1.9515295891e-4f, z, 8.3321608736e-3f), z, -1.6666654611e-1f);
        return Math.fma(p * z, x, x);
    }

    private static float cos(float x) {
        float z = x * x;
        float p = Math.fma(Math.fma(2.443315711809948e-5f, z, -1.388731625493765e-3f), z, 4.166664568298827e-2f);
        return Math.fma(p * z, z, Math.fma(-0.5f, z, 1f));
    }
}
