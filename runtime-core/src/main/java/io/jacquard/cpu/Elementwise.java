package io.jacquard.cpu;

import static io.jacquard.cpu.Mem.VL;
import static io.jacquard.cpu.Mem.all;
import static io.jacquard.cpu.Mem.load;
import static io.jacquard.cpu.Mem.store;
import static io.jacquard.cpu.Mem.tail;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/// Kernels where each element stands alone.
final class Elementwise {
    /// Elements of a chunk: 256 KiB of floats, some 10 us of work.
    static final int CHUNK = 1 << 16;

    /// Elements that pass through scratch at once: three operands stay in the first-level cache.
    static final int BLOCK = 1 << 11;

    /// Computes `n` floats at `out` from `n` floats at `x`, and at `y` where there is a second operand.
    interface Body {
        void run(long out, long x, long y, int n);
    }

    private Elementwise() {}

    static int chunks(long n) {
        return Math.toIntExact(Math.ceilDiv(n, (long) CHUNK));
    }

    /// `out = body(x, y) + beta * out`.
    static void run(Workers workers, Operand out, Operand x, Operand y, float beta, long n, Body body) {
        boolean direct = beta == 0f && out.inPlace() && x.inPlace() && y.inPlace();
        workers.run(chunks(n), (chunk, lane) -> {
            long from = (long) chunk * CHUNK;
            int size = (int) Math.min(CHUNK, n - from);
            if (direct) {
                body.run(out.at(from), x.at(from), y.at(from), size);
            } else {
                run(lane, out, x, y, beta, from, from + size, body);
            }
        });
    }

    /// Elements `from` to `to`, through scratch where they have to.
    static void run(Lane lane, Operand out, Operand x, Operand y, float beta, long from, long to, Body body) {
        long sx = lane.floats(BLOCK);
        long sy = lane.floats(BLOCK);
        long so = lane.floats(BLOCK);
        for (long at = from; at < to; at += BLOCK) {
            int m = (int) Math.min(BLOCK, to - at);
            long fx = x.read(at, m, sx);
            long fy = y.address() == x.address() ? fx : y.read(at, m, sy);
            if (beta == 0f) {
                body.run(out.target(at, so), fx, fy, m);
                out.written(at, m, so);
            } else {
                body.run(so, fx, fy, m);
                accumulate(out, at, m, so, sx, beta);
            }
        }
    }

    /// `out = values + beta * out` for `m` elements from `at` on.
    static void accumulate(Operand out, long at, int m, long values, long scratch, float beta) {
        long old = out.read(at, m, scratch);
        if (out.inPlace()) {
            axpby(old, 1f, values, beta, m);
        } else {
            axpby(values, beta, old, 1f, m);
            out.written(at, m, values);
        }
    }

    /// `y = a * x + beta * y`.
    static void axpby(long y, float a, long x, float beta, int n) {
        FloatVector av = all(a);
        FloatVector bv = all(beta);
        int i = 0;
        for (; i <= n - VL; i += VL) {
            store(load(x + 4L * i).mul(av).add(load(y + 4L * i).mul(bv)), y + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            store(load(x + 4L * i, mask).mul(av).add(load(y + 4L * i, mask).mul(bv)), y + 4L * i, mask);
        }
    }

    static void mul(long out, long x, long y, int n) {
        int i = 0;
        for (; i <= n - VL; i += VL) {
            store(load(x + 4L * i).mul(load(y + 4L * i)), out + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            store(load(x + 4L * i, mask).mul(load(y + 4L * i, mask)), out + 4L * i, mask);
        }
    }

    /// One body per row of `c` elements; `row` is the same for all.
    static void addRow(Workers workers, Operand out, Operand x, Operand row, long rows, int c) {
        Rows.run(workers, rows, c, (first, last, lane) -> {
            long r = row.read(0, c, lane.floats(c));
            long s = lane.floats(c);
            for (long i = first; i < last; i++) {
                long fx = x.read(i * c, c, s);
                FloatMath.add(out.target(i * c, s), fx, r, c);
                out.written(i * c, c, s);
            }
        });
    }

    /// Rows `first` to `last`.
    static void swiGlu(Lane lane, Operand out, Operand x, long first, long last, int f) {
        long s = lane.floats(2L * f);
        for (long i = first; i < last; i++) {
            long gate = x.read(i * 2 * f, 2 * f, s);
            Activations.swiGlu(out.target(i * f, s), gate, gate + 4L * f, f);
            out.written(i * f, f, s);
        }
    }

    static void swiGluGrad(Workers workers, Operand dx, Operand dy, Operand x, float beta, long rows, int f) {
        Rows.run(workers, rows, 2 * f, (first, last, lane) -> {
            long sx = lane.floats(2L * f);
            long sy = lane.floats(f);
            long sd = lane.floats(2L * f);
            for (long i = first; i < last; i++) {
                long gate = x.read(i * 2 * f, 2 * f, sx);
                long d = dy.read(i * f, f, sy);
                long to = beta == 0f ? dx.target(i * 2 * f, sd) : sd;
                Activations.swiGluGrad(to, to + 4L * f, d, gate, gate + 4L * f, f);
                Rows.store(dx, i * 2 * f, 2 * f, to, sx, beta);
            }
        });
    }
}
