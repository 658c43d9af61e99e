package io.jacquard.cpu;

import io.jacquard.tensor.spi.Philox;

/// Initial values and dropout from [Philox].
final class Randoms {
    private Randoms() {}

    static void fill(Workers workers, Operand out, float deviation, long seed, int site, long n) {
        workers.run(Elementwise.chunks(n), (chunk, lane) -> {
            int[] words = new int[4];
            float[] values = new float[4];
            long scratch = lane.floats(Elementwise.BLOCK);
            long end = Math.min(n, (long) (chunk + 1) * Elementwise.CHUNK);
            for (long from = (long) chunk * Elementwise.CHUNK; from < end; from += Elementwise.BLOCK) {
                int m = (int) Math.min(Elementwise.BLOCK, end - from);
                long to = out.target(from, scratch);
                for (int i = 0; i < m; i++) {
                    if ((i & 3) == 0) {
                        Philox.block(words, seed, 0, 0, site, (from + i) / 4);
                        values(values, words, deviation);
                    }
                    Mem.setFloat(to + 4L * i, values[i & 3]);
                }
                out.written(from, m, scratch);
            }
        });
    }

    private static void values(float[] values, int[] words, float deviation) {
        if (deviation == 0f) {
            for (int i = 0; i < 4; i++) {
                values[i] = Philox.uniform(words[i]);
            }
            return;
        }
        Philox.normals(values, 0, words[0], words[1]);
        Philox.normals(values, 2, words[2], words[3]);
        for (int i = 0; i < 4; i++) {
            values[i] *= deviation;
        }
    }

    static void dropout(Workers workers, Operand out, Operand x, float p, long seed, Operand counters, int site, float beta,
            long n) {
        int step = Mem.getInt(counters.at(0));
        int microBatch = Mem.getInt(counters.at(1));
        float scale = p < 1f ? 1f / (1f - p) : 0f;
        workers.run(Elementwise.chunks(n), (chunk, lane) -> {
            int[] words = new int[4];
            long sx = lane.floats(Elementwise.BLOCK);
            long so = lane.floats(Elementwise.BLOCK);
            long end = Math.min(n, (long) (chunk + 1) * Elementwise.CHUNK);
            for (long from = (long) chunk * Elementwise.CHUNK; from < end; from += Elementwise.BLOCK) {
                int m = (int) Math.min(Elementwise.BLOCK, end - from);
                long fx = x.read(from, m, sx);
                for (int i = 0; i < m; i++) {
                    if ((i & 3) == 0) {
                        Philox.block(words, seed, step, microBatch, site, (from + i) / 4);
                    }
                    boolean kept = Philox.uniform(words[i & 3]) >= p;
                    Mem.setFloat(so + 4L * i, kept ? Mem.getFloat(fx + 4L * i) * scale : 0f);
                }
                Rows.store(out, from, m, so, sx, beta);
            }
        });
    }
}
