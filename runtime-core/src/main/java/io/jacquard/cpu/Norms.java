package io.jacquard.cpu;

import static io.jacquard.cpu.Mem.VL;
import static io.jacquard.cpu.Mem.all;
import static io.jacquard.cpu.Mem.load;
import static io.jacquard.cpu.Mem.store;
import static io.jacquard.cpu.Mem.tail;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import org.jspecify.annotations.Nullable;

/// LayerNorm and RMSNorm. RMSNorm is the same arithmetic with the mean fixed at 0 and no bias.
final class Norms {
    /// Operands of the forward pass; `mean` and `bias` are null for RMSNorm.
    record Forward(
            Operand out,
            @Nullable Operand total,
            @Nullable Operand mean,
            Operand rstd,
            Operand x,
            @Nullable Operand residual,
            Operand weight,
            @Nullable Operand bias,
            float epsilon,
            long rows,
            int c) {}

    /// Operands of the backward pass; `mean` and `dBias` are null for RMSNorm.
    record Backward(
            @Nullable Operand dx,
            float beta,
            @Nullable Operand dWeight,
            @Nullable Operand dBias,
            float weightBeta,
            Operand dy,
            Operand x,
            @Nullable Operand mean,
            Operand rstd,
            Operand weight,
            long rows,
            int c) {}

    private Norms() {}

    static void forward(Workers workers, Forward f) {
        int c = f.c;
        Rows.run(workers, f.rows, c, (first, last, lane) -> {
            long w = f.weight.read(0, c, lane.floats(c));
            long b = f.bias == null ? 0 : f.bias.read(0, c, lane.floats(c));
            long sx = lane.floats(c);
            long sr = lane.floats(c);
            for (long i = first; i < last; i++) {
                row(f, i, w, b, sx, sr);
            }
        });
    }

    private static void row(Forward f, long i, long w, long b, long sx, long sr) {
        int c = f.c;
        long x = f.x.read(i * c, c, sx);
        if (f.total != null && f.residual != null) {
            long sum = f.total.target(i * c, sx);
            FloatMath.add(sum, x, f.residual.read(i * c, c, sr), c);
            f.total.written(i * c, c, sx);
            x = f.total.read(i * c, c, sx);
        }
        float mean = f.mean == null ? 0f : FloatMath.sum(x, c) / c;
        float variance = FloatMath.sumOfSquares(x, mean, c) / c;
        float rstd = (float) (1.0 / Math.sqrt(variance + (double) f.epsilon));
        long out = f.out.target(i * c, sr);
        if (b == 0) {
            scaleTo(out, x, rstd, w, c);
        } else {
            normTo(out, x, mean, rstd, w, b, c);
        }
        f.out.written(i * c, c, sr);
        if (f.mean != null) {
            Mem.setFloat(f.mean.at(i), mean);
        }
        Mem.setFloat(f.rstd.at(i), rstd);
    }

    private static void normTo(long out, long x, float mean, float rstd, long w, long b, int n) {
        FloatVector m = all(mean);
        FloatVector r = all(rstd);
        int i = 0;
        for (; i <= n - VL; i += VL) {
            store(load(x + 4L * i).sub(m).mul(r).fma(load(w + 4L * i), load(b + 4L * i)), out + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            store(
                    load(x + 4L * i, mask).sub(m).mul(r).fma(load(w + 4L * i, mask), load(b + 4L * i, mask)),
                    out + 4L * i,
                    mask);
        }
    }

    private static void scaleTo(long out, long x, float rstd, long w, int n) {
        FloatVector r = all(rstd);
        int i = 0;
        for (; i <= n - VL; i += VL) {
            store(load(x + 4L * i).mul(r).mul(load(w + 4L * i)), out + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            store(load(x + 4L * i, mask).mul(r).mul(load(w + 4L * i, mask)), out + 4L * i, mask);
        }
    }

    static void backward(Workers workers, Backward g) {
        int c = g.c;
        if (g.dWeight == null) {
            Rows.run(workers, g.rows, c, (first, last, lane) -> rows(g, first, last, lane, 0));
            return;
        }
        Rows.sum(
                workers,
                g.rows,
                c,
                2 * c,
                (first, last, lane, partials) -> rows(g, first, last, lane, partials),
                (from, to, lane) -> {
                    long scratch = lane.floats(c);
                    Rows.store(g.dWeight, 0, c, from, scratch, g.weightBeta);
                    if (g.dBias != null) {
                        Rows.store(g.dBias, 0, c, from + 4L * c, scratch, g.weightBeta);
                    }
                });
    }

    private static void rows(Backward g, long first, long last, Lane lane, long partials) {
        int c = g.c;
        long w = g.weight.read(0, c, lane.floats(c));
        long hat = lane.floats(c);
        long sy = lane.floats(c);
        long sd = lane.floats(c);
        for (long i = first; i < last; i++) {
            float mean = g.mean == null ? 0f : Mem.getFloat(g.mean.at(i));
            float rstd = Mem.getFloat(g.rstd.at(i));
            long dy = g.dy.read(i * c, c, sy);
            normalised(hat, g.x.read(i * c, c, hat), mean, rstd, c);
            if (partials != 0) {
                weightSums(partials, partials + 4L * c, dy, hat, c);
            }
            if (g.dx != null) {
                long to = g.beta == 0f ? g.dx.target(i * c, sd) : sd;
                inputGradient(g, to, dy, hat, w, rstd);
                Rows.store(g.dx, i * c, c, to, sy, g.beta);
            }
        }
    }

    private static void inputGradient(Backward g, long to, long dy, long hat, long w, float rstd) {
        float meanHat = dot3(dy, w, hat, g.c) / g.c;
        float mean = g.mean == null ? 0f : FloatMath.dot(dy, w, g.c) / g.c;
        combine(to, dy, w, hat, mean, meanHat, rstd, g.c);
    }

    private static void normalised(long hat, long x, float mean, float rstd, int n) {
        FloatVector m = all(mean);
        FloatVector r = all(rstd);
        int i = 0;
        for (; i <= n - VL; i += VL) {
            store(load(x + 4L * i).sub(m).mul(r), hat + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            store(load(x + 4L * i, mask).sub(m).mul(r), hat + 4L * i, mask);
        }
    }

    private static void weightSums(long dw, long db, long dy, long hat, int n) {
        int i = 0;
        for (; i <= n - VL; i += VL) {
            FloatVector d = load(dy + 4L * i);
            store(d.fma(load(hat + 4L * i), load(dw + 4L * i)), dw + 4L * i);
            store(d.add(load(db + 4L * i)), db + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            FloatVector d = load(dy + 4L * i, mask);
            store(d.fma(load(hat + 4L * i, mask), load(dw + 4L * i, mask)), dw + 4L * i, mask);
            store(d.add(load(db + 4L * i, mask)), db + 4L * i, mask);
        }
    }

    private static float dot3(long x, long y, long z, int n) {
        FloatVector s0 = FloatVector.zero(Mem.S);
        FloatVector s1 = s0;
        int i = 0;
        for (; i <= n - 2 * VL; i += 2 * VL) {
            s0 = load(x + 4L * i).mul(load(y + 4L * i)).fma(load(z + 4L * i), s0);
            s1 = load(x + 4L * (i + VL)).mul(load(y + 4L * (i + VL))).fma(load(z + 4L * (i + VL)), s1);
        }
        return Mem.sumLanes(s0.add(s1)) + dot3Rest(x, y, z, i, n);
    }

    private static float dot3Rest(long x, long y, long z, int from, int n) {
        FloatVector s = FloatVector.zero(Mem.S);
        for (int i = from; i < n; i += VL) {
            VectorMask<Float> mask = tail(i, n);
            s = load(x + 4L * i, mask).mul(load(y + 4L * i, mask)).fma(load(z + 4L * i, mask), s);
        }
        return Mem.sumLanes(s);
    }

    /// `to = rstd * (dy * w - mean - hat * meanHat)`.
    private static void combine(long to, long dy, long w, long hat, float mean, float meanHat, float rstd, int n) {
        FloatVector m = all(mean);
        FloatVector h = all(-meanHat);
        FloatVector r = all(rstd);
        int i = 0;
        for (; i <= n - VL; i += VL) {
            FloatVector d = load(dy + 4L * i).mul(load(w + 4L * i)).sub(m);
            store(load(hat + 4L * i).fma(h, d).mul(r), to + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            FloatVector d = load(dy + 4L * i, mask).mul(load(w + 4L * i, mask)).sub(m);
            store(load(hat + 4L * i, mask).fma(h, d).mul(r), to + 4L * i, mask);
        }
    }
}
