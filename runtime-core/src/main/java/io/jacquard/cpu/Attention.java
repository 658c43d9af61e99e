package io.jacquard.cpu;

import static io.jacquard.cpu.Mem.VL;
import static io.jacquard.cpu.Mem.all;
import static io.jacquard.cpu.Mem.load;
import static io.jacquard.cpu.Mem.store;
import static io.jacquard.cpu.Mem.tail;

import io.jacquard.tensor.DType;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/// Causal attention in tiles of queries: scores of one tile against all keys up to it, softmax, product with the
/// values, all by serial `dnnl_sgemm` on this thread. Queries, keys and values are read where they lie in `qkv`.
final class Attention {
    /// Queries of a tile (B=8 H=12 T=512 D=64: 62.5 ms forward and backward; 128: 64.2, 256: 75.5).
    private static final int TILE = 64;

    /// `[batch, time, (heads + 2 kvHeads) * dim]`.
    record Geometry(int batch, int time, int heads, int kvHeads, int dim) {
        int width() {
            return (heads + 2 * kvHeads) * dim;
        }

        int group() {
            return heads / kvHeads;
        }

        long query(int b, int h) {
            return (long) b * time * width() + (long) h * dim;
        }

        long key(int b, int kv) {
            return query(b, heads + kv);
        }

        long value(int b, int kv) {
            return query(b, heads + kvHeads + kv);
        }

        long out(int b, int h) {
            return ((long) b * time * heads + h) * dim;
        }

        long lse(int b, int h) {
            return ((long) b * heads + h) * time;
        }

        float scale() {
            return (float) (1.0 / Math.sqrt(dim));
        }

        /// Row length of a tile of scores: whole vectors, so that row loops need no masks.
        int stride() {
            return Math.ceilDiv(time, VL) * VL;
        }
    }

    /// `rows` lines of `dim` floats: in place in a tensor, or a widened copy.
    private record Panel(long address, long stride) {
        long row(int i) {
            return address + 4 * stride * i;
        }
    }

    private Attention() {}

    private static Panel read(Operand x, long first, long stride, int rows, int dim, Lane lane) {
        if (x.inPlace()) {
            return new Panel(x.at(first), stride);
        }
        long to = lane.floats((long) rows * dim);
        for (int i = 0; i < rows; i++) {
            Convert.widen(x.type(), x.at(first + i * stride), to + 4L * i * dim, dim);
        }
        return new Panel(to, dim);
    }

    private static Panel target(Operand x, long first, long stride, int rows, int dim, Lane lane) {
        return x.inPlace() ? new Panel(x.at(first), stride) : new Panel(lane.floats((long) rows * dim), dim);
    }

    private static void written(Operand x, long first, long stride, int rows, int dim, Panel from) {
        for (int i = 0; i < rows && x.type() != DType.F32; i++) {
            Convert.narrow(x.type(), from.row(i), x.at(first + i * stride), dim);
        }
    }

    static void forward(Workers workers, Operand out, Operand lse, Operand qkv, Geometry g) {
        workers.run(g.batch * g.heads, (chunk, lane) -> {
            int b = chunk / g.heads;
            int h = chunk % g.heads;
            Panel k = read(qkv, g.key(b, h / g.group()), g.width(), g.time, g.dim, lane);
            Panel v = read(qkv, g.value(b, h / g.group()), g.width(), g.time, g.dim, lane);
            long scores = lane.floats((long) TILE * g.stride());
            for (int q0 = 0; q0 < g.time; q0 += TILE) {
                long mark = lane.mark();
                forwardTile(out, lse, qkv, g, b, h, q0, k, v, scores, lane);
                lane.release(mark);
            }
        });
    }

    private static void forwardTile(
            Operand out,
            Operand lse,
            Operand qkv,
            Geometry g,
            int b,
            int h,
            int q0,
            Panel k,
            Panel v,
            long scores,
            Lane lane) {
        int rows = Math.min(TILE, g.time - q0);
        int n = q0 + rows;
        int stride = g.stride();
        long outWidth = (long) g.heads * g.dim;
        long first = g.out(b, h) + q0 * outWidth;
        Panel q = read(qkv, g.query(b, h) + (long) q0 * g.width(), g.width(), rows, g.dim, lane);
        OneDnn.sgemm(
                false, true, rows, n, g.dim, g.scale(), q.address, q.stride, k.address, k.stride, 0f, scores, stride);
        for (int i = 0; i < rows; i++) {
            long row = scores + 4L * i * stride;
            int seen = q0 + i + 1;
            int whole = hideToVector(row, seen);
            float max = FloatMath.max(row, whole);
            float sum = FloatMath.expSum(row, row, max, whole);
            FloatMath.scale(row, row, 1f / sum, whole);
            Mem.zero(row + 4L * whole, 4L * Math.max(0, n - whole));
            Mem.setFloat(lse.at(g.lse(b, h) + q0 + i), max + (float) Math.log(sum));
        }
        Panel o = target(out, first, outWidth, rows, g.dim, lane);
        OneDnn.sgemm(false, false, rows, g.dim, n, 1f, scores, stride, v.address, v.stride, 0f, o.address, o.stride);
        written(out, first, outWidth, rows, g.dim, o);
    }

    /// Operands of the backward pass.
    record Backward(Operand dQkv, Operand dOut, Operand qkv, Operand out, Operand lse, Geometry g) {}

    /// One key/value head of one sequence: all its query heads in order, so that no two threads add to the same
    /// sums.
    private record Job(Backward o, int b, int kv, Panel k, Panel v, Panel dk, Panel dv, long p, long dp) {}

    static void backward(Workers workers, Backward o) {
        Geometry g = o.g;
        workers.run(g.batch * g.kvHeads, (chunk, lane) -> {
            int b = chunk / g.kvHeads;
            int kv = chunk % g.kvHeads;
            int width = g.width();
            Job job = new Job(
                    o,
                    b,
                    kv,
                    read(o.qkv, g.key(b, kv), width, g.time, g.dim, lane),
                    read(o.qkv, g.value(b, kv), width, g.time, g.dim, lane),
                    target(o.dQkv, g.key(b, kv), width, g.time, g.dim, lane),
                    target(o.dQkv, g.value(b, kv), width, g.time, g.dim, lane),
                    lane.floats((long) TILE * g.stride()),
                    lane.floats((long) TILE * g.stride()));
            // the last tile sees all keys: it overwrites the sums, the others add
            float beta = 0f;
            for (int h = kv * g.group(); h < (kv + 1) * g.group(); h++) {
                for (int q0 = (g.time - 1) / TILE * TILE; q0 >= 0; q0 -= TILE) {
                    long mark = lane.mark();
                    backwardTile(job, h, q0, beta, lane);
                    lane.release(mark);
                    beta = 1f;
                }
            }
            written(o.dQkv, g.key(b, kv), width, g.time, g.dim, job.dk);
            written(o.dQkv, g.value(b, kv), width, g.time, g.dim, job.dv);
        });
    }

    private static void backwardTile(Job j, int h, int q0, float beta, Lane lane) {
        Backward o = j.o;
        Geometry g = o.g;
        int rows = Math.min(TILE, g.time - q0);
        int n = q0 + rows;
        int stride = g.stride();
        int d = g.dim;
        long outWidth = (long) g.heads * d;
        long firstOut = g.out(j.b, h) + q0 * outWidth;
        long firstQuery = g.query(j.b, h) + (long) q0 * g.width();
        Panel q = read(o.qkv, firstQuery, g.width(), rows, d, lane);
        Panel dOut = read(o.dOut, firstOut, outWidth, rows, d, lane);
        Panel out = read(o.out, firstOut, outWidth, rows, d, lane);
        OneDnn.sgemm(false, true, rows, n, d, g.scale(), q.address, q.stride, j.k.address, j.k.stride, 0f, j.p, stride);
        OneDnn.sgemm(false, true, rows, n, d, 1f, dOut.address, dOut.stride, j.v.address, j.v.stride, 0f, j.dp, stride);
        for (int i = 0; i < rows; i++) {
            long p = j.p + 4L * i * stride;
            long dp = j.dp + 4L * i * stride;
            int seen = q0 + i + 1;
            float lse = Mem.getFloat(o.lse.at(g.lse(j.b, h) + q0 + i));
            probabilities(p, lse, hideToVector(p, seen));
            float delta = FloatMath.dot(out.row(i), dOut.row(i), d);
            scoreGradient(dp, p, delta, g.scale(), seen);
            Mem.zero(p + 4L * seen, 4L * (n - seen));
            Mem.zero(dp + 4L * seen, 4L * (n - seen));
        }
        OneDnn.sgemm(
                true, false, n, d, rows, 1f, j.p, stride, dOut.address, dOut.stride, beta, j.dv.address, j.dv.stride);
        OneDnn.sgemm(true, false, n, d, rows, 1f, j.dp, stride, q.address, q.stride, beta, j.dk.address, j.dk.stride);
        Panel dq = target(o.dQkv, firstQuery, g.width(), rows, d, lane);
        OneDnn.sgemm(false, false, rows, d, n, 1f, j.dp, stride, j.k.address, j.k.stride, 0f, dq.address, dq.stride);
        written(o.dQkv, firstQuery, g.width(), rows, d, dq);
    }

    /// Makes the scores behind the first `seen` minus infinity up to a whole vector, and returns where that ends:
    /// the exponential of a masked tail is too much for C2, which then boxes its vectors (15 of 16 rows have a
    /// tail).
    private static int hideToVector(long row, int seen) {
        int whole = Math.ceilDiv(seen, VL) * VL;
        for (int i = seen; i < whole; i++) {
            Mem.setFloat(row + 4L * i, Float.NEGATIVE_INFINITY);
        }
        return whole;
    }

    /// `p = e^(p - lse)`, n whole vectors.
    private static void probabilities(long p, float lse, int n) {
        FloatVector l = all(lse);
        for (int i = 0; i < n; i += VL) {
            store(FloatMath.exp(load(p + 4L * i).sub(l)), p + 4L * i);
        }
    }

    /// `dp = scale * p * (dp - delta)`.
    private static void scoreGradient(long dp, long p, float delta, float scale, int n) {
        FloatVector d = all(delta);
        FloatVector s = all(scale);
        int i = 0;
        for (; i <= n - VL; i += VL) {
            store(load(dp + 4L * i).sub(d).mul(load(p + 4L * i)).mul(s), dp + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            store(load(dp + 4L * i, mask).sub(d).mul(load(p + 4L * i, mask)).mul(s), dp + 4L * i, mask);
        }
    }

    /// Rotary embedding of the first `heads` heads of each row.
    record Rope(
            Operand out,
            Operand x,
            long batch,
            int time,
            int width,
            int heads,
            int dim,
            int firstPosition,
            boolean inverse,
            double[] frequencies) {
        /// `base^(-2 i / dim)`: the turn of pair i from one position to the next.
        static double[] frequencies(float base, int dim) {
            double[] f = new double[dim / 2];
            for (int i = 0; i < f.length; i++) {
                f[i] = Math.pow(base, -2.0 * i / dim);
            }
            return f;
        }
    }

    static void rope(Workers workers, Rope r) {
        int perChunk = Math.max(1, Elementwise.CHUNK / 2 / Math.max(1, r.width));
        workers.run(Math.ceilDiv(r.time, perChunk), (chunk, lane) -> {
            int half = r.dim / 2;
            long cos = lane.floats(half);
            long sin = lane.floats(half);
            long sx = lane.floats(r.width);
            long so = lane.floats(r.width);
            for (int t = chunk * perChunk; t < Math.min(r.time, (chunk + 1) * perChunk); t++) {
                angles(r, t, cos, sin);
                for (long b = 0; b < r.batch; b++) {
                    long first = (b * r.time + t) * r.width;
                    long from = r.x.read(first, r.width, sx);
                    long to = r.out.target(first, so);
                    for (int h = 0; h < r.heads; h++) {
                        long at = 4L * h * r.dim;
                        rotate(to + at, from + at, cos, sin, half);
                    }
                    long turned = 4L * r.heads * r.dim;
                    Mem.copy(from + turned, to + turned, 4L * r.width - turned);
                    r.out.written(first, r.width, so);
                }
            }
        });
    }

    private static void angles(Rope r, int t, long cos, long sin) {
        for (int i = 0; i < r.dim / 2; i++) {
            double angle = (r.firstPosition + (double) t) * r.frequencies[i];
            Mem.setFloat(cos + 4L * i, (float) Math.cos(angle));
            Mem.setFloat(sin + 4L * i, (float) (r.inverse ? -Math.sin(angle) : Math.sin(angle)));
        }
    }

    private static void rotate(long to, long from, long cos, long sin, int half) {
        long up = 4L * half;
        int i = 0;
        for (; i <= half - VL; i += VL) {
            FloatVector c = load(cos + 4L * i);
            FloatVector s = load(sin + 4L * i);
            FloatVector x = load(from + 4L * i);
            FloatVector y = load(from + up + 4L * i);
            store(x.mul(c).sub(y.mul(s)), to + 4L * i);
            store(y.mul(c).add(x.mul(s)), to + up + 4L * i);
        }
        for (; i < half; i++) {
            float c = Mem.getFloat(cos + 4L * i);
            float s = Mem.getFloat(sin + 4L * i);
            float x = Mem.getFloat(from + 4L * i);
            float y = Mem.getFloat(from + up + 4L * i);
            Mem.setFloat(to + 4L * i, x * c - y * s);
            Mem.setFloat(to + up + 4L * i, y * c + x * s);
        }
    }
}
