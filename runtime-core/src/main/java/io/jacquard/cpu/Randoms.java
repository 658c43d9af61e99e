package io.jacquard.cpu;

import static io.jacquard.cpu.Mem.VL;
import static io.jacquard.cpu.Mem.load;
import static io.jacquard.cpu.Mem.store;

import io.jacquard.tensor.spi.Philox;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/// Initial values and dropout from [Philox].
final class Randoms {
    private static final VectorSpecies<Long> L = LongVector.SPECIES_PREFERRED;
    private static final VectorSpecies<Integer> I = VectorSpecies.of(int.class, Mem.S.vectorShape());
    private static final VectorShuffle<Long> ZIP_LOW = VectorShuffle.makeZip(L, 0);
    private static final VectorShuffle<Long> ZIP_HIGH = VectorShuffle.makeZip(L, 1);
    private static final LongVector LANES = LongVector.zero(L).addIndex(1);
    private static final ByteOrder NATIVE = ByteOrder.nativeOrder();
    private static final long LOW = 0xffffffffL;
    private static final long M0 = 0xD2511F53L;
    private static final long M1 = 0xCD9E8D57L;
    private static final int W0 = 0x9E3779B9;
    private static final int W1 = 0xBB67AE85;

    /// What all blocks of a launch share.
    record Stream(long seed, int step, int microBatch, int site) {}

    private Randoms() {}

    /// The words of blocks `first` to `first + blocks` - 1, in order, as [Philox#block] gives them. A vector of
    /// blocks at once: one at a time dropout took 7 ns an element.
    static void words(long to, Stream s, long first, int blocks) {
        int i = 0;
        for (; i <= blocks - L.length(); i += L.length()) {
            blocks(to + 16L * i, s, first + i);
        }
        int[] words = new int[4];
        for (; i < blocks; i++) {
            Philox.block(words, s.seed, s.step, s.microBatch, s.site, first + i);
            for (int j = 0; j < 4; j++) {
                Mem.setInt(to + 16L * i + 4L * j, words[j]);
            }
        }
    }

    private static void blocks(long to, Stream s, long first) {
        LongVector block = LANES.add(first);
        LongVector c0 = block.and(LOW);
        LongVector c1 = LongVector.broadcast(L, s.site & LOW);
        LongVector c2 = LongVector.broadcast(L, s.step & LOW);
        LongVector c3 = block.lanewise(VectorOperators.LSHR, 32).and(0xffff).or((long) s.microBatch << 16 & LOW);
        int k0 = (int) s.seed;
        int k1 = (int) (s.seed >>> 32);
        for (int round = 0; round < 10; round++) {
            LongVector p0 = c0.mul(M0);
            LongVector p1 = c2.mul(M1);
            c0 = p1.lanewise(VectorOperators.LSHR, 32)
                    .lanewise(VectorOperators.XOR, c1)
                    .lanewise(VectorOperators.XOR, k0 & LOW);
            c1 = p1.and(LOW);
            c2 = p0.lanewise(VectorOperators.LSHR, 32)
                    .lanewise(VectorOperators.XOR, c3)
                    .lanewise(VectorOperators.XOR, k1 & LOW);
            c3 = p0.and(LOW);
            k0 += W0;
            k1 += W1;
        }
        LongVector even = c0.or(c1.lanewise(VectorOperators.LSHL, 32));
        LongVector odd = c2.or(c3.lanewise(VectorOperators.LSHL, 32));
        even.rearrange(ZIP_LOW, odd).intoMemorySegment(Mem.ALL, to, NATIVE);
        even.rearrange(ZIP_HIGH, odd).intoMemorySegment(Mem.ALL, to + L.vectorByteSize(), NATIVE);
    }

    static void fill(Workers workers, Operand out, float deviation, long seed, int site, long n) {
        Stream stream = new Stream(seed, 0, 0, site);
        workers.run(Elementwise.chunks(n), (chunk, lane) -> {
            float[] values = new float[4];
            long words = lane.floats(Elementwise.BLOCK);
            long scratch = lane.floats(Elementwise.BLOCK);
            long end = Math.min(n, (long) (chunk + 1) * Elementwise.CHUNK);
            for (long from = (long) chunk * Elementwise.CHUNK; from < end; from += Elementwise.BLOCK) {
                int m = (int) Math.min(Elementwise.BLOCK, end - from);
                long to = out.target(from, scratch);
                words(words, stream, from / 4, (m + 3) / 4);
                for (int i = 0; i < m; i++) {
                    if ((i & 3) == 0) {
                        values(values, words + 4L * i, deviation);
                    }
                    Mem.setFloat(to + 4L * i, values[i & 3]);
                }
                out.written(from, m, scratch);
            }
        });
    }

    private static void values(float[] values, long words, float deviation) {
        if (deviation == 0f) {
            for (int i = 0; i < 4; i++) {
                values[i] = Philox.uniform(Mem.getInt(words + 4L * i));
            }
            return;
        }
        Philox.normals(values, 0, Mem.getInt(words), Mem.getInt(words + 4));
        Philox.normals(values, 2, Mem.getInt(words + 8), Mem.getInt(words + 12));
        for (int i = 0; i < 4; i++) {
            values[i] *= deviation;
        }
    }

    static void dropout(
            Workers workers,
            Operand out,
            Operand x,
            float p,
            long seed,
            Operand counters,
            int site,
            long first,
            float beta,
            long n) {
        Stream stream = new Stream(seed, Mem.getInt(counters.at(0)), Mem.getInt(counters.at(1)), site);
        float scale = p < 1f ? 1f / (1f - p) : 0f;
        // (word >>> 8) * 2^-24 >= p in integers: both sides are exact multiples or bounds of 2^-24
        int least = (int) Math.ceil(p * 0x1p24);
        int before = (int) (first & 3); // words of the first block that belong to elements before
        workers.run(Elementwise.chunks(n), (chunk, lane) -> {
            long sx = lane.floats(Elementwise.BLOCK);
            long so = lane.floats(Elementwise.BLOCK);
            long words = lane.floats(Elementwise.BLOCK + 4);
            long end = Math.min(n, (long) (chunk + 1) * Elementwise.CHUNK);
            for (long from = (long) chunk * Elementwise.CHUNK; from < end; from += Elementwise.BLOCK) {
                int m = (int) Math.min(Elementwise.BLOCK, end - from);
                words(words, stream, (first + from) / 4, (before + m + 3) / 4);
                drop(so, x.read(from, m, sx), words + 4L * before, least, scale, m);
                Rows.store(out, from, m, so, sx, beta);
            }
        });
    }

    /// `out = words >>> 8 >= least ? x * scale : 0`.
    private static void drop(long out, long x, long words, int least, float scale, int n) {
        int i = 0;
        for (; i <= n - VL; i += VL) {
            IntVector w = IntVector.fromMemorySegment(I, Mem.ALL, words + 4L * i, NATIVE);
            VectorMask<Integer> kept = w.lanewise(VectorOperators.LSHR, 8).compare(VectorOperators.GE, least);
            store(FloatVector.zero(Mem.S).blend(load(x + 4L * i).mul(scale), kept.cast(Mem.S)), out + 4L * i);
        }
        for (; i < n; i++) {
            boolean kept = Mem.getInt(words + 4L * i) >>> 8 >= least;
            Mem.setFloat(out + 4L * i, kept ? Mem.getFloat(x + 4L * i) * scale : 0f);
        }
    }
}
