package io.jacquard.cpu;

import io.jacquard.tensor.DType;

/// Filling, converting and strided copies.
final class Copies {
    /// An index space: `out[outOffset + sum i_d outStrides_d] = x[xOffset + sum i_d xStrides_d]`.
    record Space(long outOffset, long[] outStrides, long xOffset, long[] xStrides, int[] sizes) {
        int last() {
            return sizes.length - 1;
        }

        long rows() {
            long n = 1;
            for (int d = 0; d < last(); d++) {
                n *= sizes[d];
            }
            return n;
        }

        /// The same space with adjacent dimensions joined where both sides step evenly, and at least one
        /// dimension.
        Space joined() {
            long[] o = new long[sizes.length + 1];
            long[] x = new long[sizes.length + 1];
            int[] s = new int[sizes.length + 1];
            int n = 0;
            for (int d = 0; d < sizes.length; d++) {
                if (n > 0 && o[n - 1] == outStrides[d] * sizes[d] && x[n - 1] == xStrides[d] * sizes[d]) {
                    n--;
                    s[n] = Math.multiplyExact(s[n], sizes[d]);
                } else {
                    s[n] = sizes[d];
                }
                o[n] = outStrides[d];
                x[n] = xStrides[d];
                n++;
            }
            if (n == 0) {
                s[n++] = 1;
            }
            return new Space(
                    outOffset,
                    java.util.Arrays.copyOf(o, n),
                    xOffset,
                    java.util.Arrays.copyOf(x, n),
                    java.util.Arrays.copyOf(s, n));
        }
    }

    private Copies() {}

    static void fill(Workers workers, Operand out, float value, long n) {
        workers.run(Elementwise.chunks(n), (chunk, _) -> {
            long from = (long) chunk * Elementwise.CHUNK;
            int size = (int) Math.min(Elementwise.CHUNK, n - from);
            if (Float.floatToRawIntBits(value) == 0) {
                Mem.zero(out.at(from), (long) size * out.elementBytes());
            } else if (out.inPlace()) {
                fillFloats(out.at(from), value, size);
            } else {
                for (int i = 0; i < size; i++) {
                    Convert.fromFloat(out.type(), out.at(from + i), value);
                }
            }
        });
    }

    private static void fillFloats(long out, float value, int n) {
        var v = Mem.all(value);
        int i = 0;
        for (; i <= n - Mem.VL; i += Mem.VL) {
            Mem.store(v, out + 4L * i);
        }
        for (; i < n; i++) {
            Mem.setFloat(out + 4L * i, value);
        }
    }

    static void cast(Workers workers, Operand out, Operand x, long n) {
        workers.run(Elementwise.chunks(n), (chunk, lane) -> {
            long from = (long) chunk * Elementwise.CHUNK;
            int size = (int) Math.min(Elementwise.CHUNK, n - from);
            if (out.type() == x.type()) {
                Mem.copy(x.at(from), out.at(from), (long) size * x.elementBytes());
            } else if (!out.type().isFloating() && !x.type().isFloating()) {
                castIntegers(out, x, from, size);
            } else {
                castFloats(out, x, from, size, lane.floats(Elementwise.BLOCK));
            }
        });
    }

    private static void castFloats(Operand out, Operand x, long from, int size, long scratch) {
        for (int i = 0; i < size; i += Elementwise.BLOCK) {
            int m = Math.min(Elementwise.BLOCK, size - i);
            long floats = x.inPlace() ? x.at(from + i) : out.target(from + i, scratch);
            if (!x.inPlace()) {
                Convert.widen(x.type(), x.at(from + i), floats, m);
            }
            if (!out.inPlace()) {
                Convert.narrow(out.type(), floats, out.at(from + i), m);
            }
        }
    }

    /// Not by way of F32, which has no room for 32 bits.
    private static void castIntegers(Operand out, Operand x, long from, int size) {
        for (long i = from; i < from + size; i++) {
            int value = x.type() == DType.I32 ? Mem.getInt(x.at(i)) : Mem.getByte(x.at(i)) & 0xff;
            if (out.type() == DType.I32) {
                Mem.setInt(out.at(i), value);
            } else {
                Mem.setByte(out.at(i), (byte) value);
            }
        }
    }

    static void copy(Workers workers, Operand out, Operand x, Space unjoined, float beta) {
        Space s = unjoined.joined();
        int inner = s.sizes[s.last()];
        long outStride = s.outStrides[s.last()];
        long xStride = s.xStrides[s.last()];
        long pieces = Math.ceilDiv((long) inner, (long) Elementwise.BLOCK);
        // pieces of rows, so that one long row is shared out too
        long items = s.rows() * pieces;
        long perChunk = Math.max(1, Elementwise.CHUNK / 4 / Math.max(1, Math.min(inner, Elementwise.BLOCK)));
        boolean plain = outStride == 1 && xStride == 1 && beta == 0f && out.type() == x.type();
        workers.run(Math.toIntExact(Math.ceilDiv(items, perChunk)), (chunk, lane) -> {
            long first = chunk * perChunk;
            long last = Math.min(items, first + perChunk);
            if (plain && pieces == 1 && s.last() > 0) {
                copyRows(out, x, s, first, last);
                return;
            }
            long scratch = lane.floats(Elementwise.BLOCK);
            long values = lane.floats(Elementwise.BLOCK);
            for (long item = first; item < last; item++) {
                long row = item / pieces;
                int from = (int) (item % pieces) * Elementwise.BLOCK;
                int n = Math.min(Elementwise.BLOCK, inner - from);
                long o = offset(s, s.outOffset, s.outStrides, row, s.last()) + from * outStride;
                long i = offset(s, s.xOffset, s.xStrides, row, s.last()) + from * xStride;
                if (outStride == 1 && xStride == 1) {
                    run(out, o, x, i, n, beta, values, scratch);
                } else {
                    strided(out, o, outStride, x, i, xStride, n, beta);
                }
            }
        });
    }

    /// Rows that are whole on both sides, such as the heads of a permute. Divisions find the first of a run of rows
    /// that differ in one index alone: one for each row took as long as copying it.
    private static void copyRows(Operand out, Operand x, Space s, long first, long last) {
        int d = s.last() - 1;
        int bytes = s.sizes[s.last()] * x.elementBytes();
        long outStep = s.outStrides[d] * out.elementBytes();
        long xStep = s.xStrides[d] * x.elementBytes();
        for (long row = first; row < last; ) {
            int inRun = (int) (row % s.sizes[d]);
            int n = (int) Math.min(s.sizes[d] - inRun, last - row);
            long outer = row / s.sizes[d];
            long o = offset(s, s.outOffset, s.outStrides, outer, d) + inRun * s.outStrides[d];
            long i = offset(s, s.xOffset, s.xStrides, outer, d) + inRun * s.xStrides[d];
            if (bytes % Mem.VECTOR_BYTES == 0) {
                vectors(out.at(o), outStep, x.at(i), xStep, bytes, n);
            } else {
                for (int r = 0; r < n; r++) {
                    Mem.copy(x.at(i) + r * xStep, out.at(o) + r * outStep, bytes);
                }
            }
            row += n;
        }
    }

    private static void vectors(long to, long toStep, long from, long fromStep, int bytes, int rows) {
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < bytes; i += Mem.VECTOR_BYTES) {
                Mem.store(Mem.load(from + r * fromStep + i), to + r * toStep + i);
            }
        }
    }

    /// Of row `row` of the dimensions before `dims`.
    private static long offset(Space s, long start, long[] strides, long row, int dims) {
        long at = start;
        for (int d = dims - 1; d >= 0; d--) {
            at += row % s.sizes[d] * strides[d];
            row /= s.sizes[d];
        }
        return at;
    }

    private static void run(Operand out, long o, Operand x, long i, int n, float beta, long values, long scratch) {
        if (beta == 0f && out.type() == x.type()) {
            Mem.copy(x.at(i), out.at(o), (long) n * x.elementBytes());
            return;
        }
        Convert.widen(x.type(), x.at(i), values, n);
        if (beta == 0f) {
            Convert.narrow(out.type(), values, out.at(o), n);
        } else {
            Elementwise.accumulate(out, o, n, values, scratch, beta);
        }
    }

    private static void strided(
            Operand out, long o, long outStride, Operand x, long i, long xStride, int n, float beta) {
        if (beta == 0f && out.type() == x.type()) {
            switch (x.elementBytes()) {
                case 4 -> strided4(out.at(o), 4 * outStride, x.at(i), 4 * xStride, n);
                case 2 -> strided2(out.at(o), 2 * outStride, x.at(i), 2 * xStride, n);
                default -> strided1(out.at(o), outStride, x.at(i), xStride, n);
            }
            return;
        }
        for (int j = 0; j < n; j++) {
            long to = out.at(o + j * outStride);
            float value = Convert.toFloat(x.type(), x.at(i + j * xStride));
            Convert.fromFloat(out.type(), to, beta == 0f ? value : value + beta * Convert.toFloat(out.type(), to));
        }
    }

    private static void strided4(long to, long toStep, long from, long fromStep, int n) {
        for (int j = 0; j < n; j++) {
            Mem.setInt(to + j * toStep, Mem.getInt(from + j * fromStep));
        }
    }

    private static void strided2(long to, long toStep, long from, long fromStep, int n) {
        for (int j = 0; j < n; j++) {
            Mem.setShort(to + j * toStep, Mem.getShort(from + j * fromStep));
        }
    }

    private static void strided1(long to, long toStep, long from, long fromStep, int n) {
        for (int j = 0; j < n; j++) {
            Mem.setByte(to + j * toStep, Mem.getByte(from + j * fromStep));
        }
    }
}
