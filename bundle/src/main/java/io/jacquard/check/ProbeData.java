package io.jacquard.check;

/// Inputs of the probes, and the digest of their results: the same as in `native/emulator/tests/probes_test.cpp`.
final class ProbeData {
    /// Of input.
    static final int WORDS = 65536;

    /// 0 to 4 in e4m3.
    private static final int[] E4M3 = {0, 0x38, 0x40, 0x44, 0x48};

    private int state = 1;

    private ProbeData() {}

    /// Small integers in each format, then any bits: the order of `probes.cu`.
    static int[] inputs() {
        ProbeData data = new ProbeData();
        int[] words = new int[WORDS];
        for (int i = 0; i < WORDS; i++) {
            words[i] = data.word(i);
        }
        return words;
    }

    private int word(int i) {
        if (i < 16384) {
            return bf16(small()) | bf16(small()) << 16;
        } else if (i < 32768) {
            return f16(small()) | f16(small()) << 16;
        } else if (i < 40960) {
            return e4m3(small()) | e4m3(small()) << 8 | e4m3(small()) << 16 | e4m3(small()) << 24;
        } else if (i < 49152) {
            return small() & 255 | (small() & 255) << 8 | (small() & 255) << 16 | (small() & 255) << 24;
        }
        int high = random() << 8;
        return high ^ random();
    }

    private int random() {
        state = state * 1664525 + 1013904223;
        return state >>> 8;
    }

    private int small() {
        return random() % 9 - 4;
    }

    private static int bf16(int value) {
        return Float.floatToRawIntBits(value) >>> 16;
    }

    private static int f16(int value) {
        return Float.floatToFloat16(value) & 0xffff;
    }

    private static int e4m3(int value) {
        return E4M3[Math.abs(value)] | (value < 0 ? 0x80 : 0);
    }

    /// FNV-1a over the bytes.
    static String digest(int[] words) {
        long hash = 0xcbf29ce484222325L;
        for (int w : words) {
            for (int i = 0; i < 4; i++) {
                hash = (hash ^ (w >>> 8 * i & 255)) * 0x100000001b3L;
            }
        }
        return String.format("%016x", hash);
    }
}
