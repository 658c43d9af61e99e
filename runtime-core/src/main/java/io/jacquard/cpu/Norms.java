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
            @Nullable Operand total,
            @Nullable Operand mean,
            Operand rstd,
            Operand x,
            @Nullable Operand residual,
            Operand weight,
            @Nullable Operand bias,
            float epsilon,
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

    /// Rows `first` to `last`.
    static void forward(Forward f, Operand to, long first, long last, Lane lane) {
        int c = f.c;
        long w = f.weight.read(0, c, lane.floats(c));
        long b = f.bias == null ? 0 : f.bias.read(0, c, lane.floats(c));
        long sx = lane.floats(c);
        long sr = lane.floats(c);
        for (long i = first; i < last; i++) {
            row(f, to, i, w, b, sx, sr);
        }
    }

    private static void row(Forward f, Operand to, long i, long w, long b, long sx, long sr) {
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
        long out = to.target(i * c, sr);
        if (b == 0) {
            scaleTo(out, x, rstd, w, c);
        } else {
            normTo(out, x, mean, rstd, w, b, c);
        }
        to.written(i * c, c, sr);
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
                g.mean == null ? c : 2 * c,
                (first, last, lane, partials) -> rows(g, first, last, lane, partials),
                (from, to, lane) -> {
                    long scratch = lane.floats(c);
                    Rows.store(g.dWeight, 0, c, from, scratch, g.weightBeta);
                    if (g.dBias != null) {
                        Rows.store(g.dBias, 0, c, from + 4L * c, scratch, g.weightBeta);
                    }
                });
    }

    /// Two passes over a row, which has left the L1 cache in between where it is long: what is normalised is
    /// computed again in the second one rather than kept.
    private static void rows(Backward g, long first, long last, Lane lane, long partials) {
        int c = g.c;
        long w = g.weight.read(0, c, lane.floats(c));
        long sx = lane.floats(c);
        long sy = lane.floats(c);
        long sd = lane.floats(c);
        long dots = lane.floats(2);
        for (long i = first; i < last; i++) {
            float mean = g.mean == null ? 0f : Mem.getFloat(g.mean.at(i));
            float rstd = Mem.getFloat(g.rstd.at(i));
            long dy = g.dy.read(i * c, c, sy);
            long x = g.x.read(i * c, c, sx);
            if (partials == 0) {
                dots(dots, dy, x, w, mean, rstd, c);
            } else if (g.mean == null) {
                rmsSums(dots, partials, dy, x, w, rstd, c);
            } else {
                layerSums(dots, partials, partials + 4L * c, dy, x, w, mean, rstd, c);
            }
            if (g.dx != null) {
                long to = g.beta == 0f ? g.dx.target(i * c, sd) : sd;
                float ofMean = g.mean == null ? 0f : Mem.getFloat(dots) / c;
                inputGradient(to, dy, x, w, mean, rstd, ofMean, Mem.getFloat(dots + 4) / c, c);
                Rows.store(g.dx, i * c, c, to, sy, g.beta);
            }
        }
    }

    /// `dots = {dy · w, (dy w) · hat}`, `hat = (x - mean) * rstd`.
    private static void dots(long dots, long dy, long x, long w, float mean, float rstd, int n) {
        FloatVector m = all(mean);
        FloatVector r = all(rstd);
        FloatVector first = FloatVector.zero(Mem.S);
        FloatVector second = first;
        int i = 0;
        for (; i <= n - VL; i += VL) {
            FloatVector d = load(dy + 4L * i).mul(load(w + 4L * i));
            first = first.add(d);
            second = load(x + 4L * i).sub(m).mul(r).fma(d, second);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            FloatVector d = load(dy + 4L * i, mask).mul(load(w + 4L * i, mask));
            first = first.add(d);
            second = load(x + 4L * i, mask).sub(m).mul(r).fma(d, second);
        }
        Mem.setFloat(dots, Mem.sumLanes(first));
        Mem.setFloat(dots + 4, Mem.sumLanes(second));
    }

    /// [#dots] without a mean, the second only; and `dw += dy * hat`.
    private static void rmsSums(long dots, long dw, long dy, long x, long w, float rstd, int n) {
        FloatVector r = all(rstd);
        FloatVector second = FloatVector.zero(Mem.S);
        int i = 0;
        for (; i <= n - VL; i += VL) {
            FloatVector d = load(dy + 4L * i);
            FloatVector ofWeight = load(x + 4L * i).mul(r).mul(d);
            second = ofWeight.fma(load(w + 4L * i), second);
            store(ofWeight.add(load(dw + 4L * i)), dw + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            FloatVector d = load(dy + 4L * i, mask);
            FloatVector ofWeight = load(x + 4L * i, mask).mul(r).mul(d);
            second = ofWeight.fma(load(w + 4L * i, mask), second);
            store(ofWeight.add(load(dw + 4L * i, mask)), dw + 4L * i, mask);
        }
        Mem.setFloat(dots + 4, Mem.sumLanes(second));
    }

    /// [#dots], and `dw += dy * hat`, `db += dy`.
    private static void layerSums(long dots, long dw, long db, long dy, long x, long w, float mean, float rstd, int n) {
        FloatVector m = all(mean);
        FloatVector r = all(rstd);
        FloatVector first = FloatVector.zero(Mem.S);
        FloatVector second = first;
        int i = 0;
        for (; i <= n - VL; i += VL) {
            FloatVector d = load(dy + 4L * i);
            FloatVector v = load(w + 4L * i);
            FloatVector ofWeight = load(x + 4L * i).sub(m).mul(r).mul(d);
            first = d.fma(v, first);
            second = ofWeight.fma(v, second);
            store(ofWeight.add(load(dw + 4L * i)), dw + 4L * i);
            store(d.add(load(db + 4L * i)), db + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            FloatVector d = load(dy + 4L * i, mask);
            FloatVector v = load(w + 4L * i, mask);
            FloatVector ofWeight = load(x + 4L * i, mask).sub(m).mul(r).mul(d);
            first = d.fma(v, first);
            second = ofWeight.fma(v, second);
            store(ofWeight.add(load(dw + 4L * i, mask)), dw + 4L * i, mask);
            store(d.add(load(db + 4L * i, mask)), db + 4L * i, mask);
        }
        Mem.setFloat(dots, Mem.sumLanes(first));
        Mem.setFloat(dots + 4, Mem.sumLanes(second));
    }

    /// `to = rstd * (dy * w - ofMean - hat * ofHat)`.
    private static void inputGradient(
            long to, long dy, long x, long w, float mean, float rstd, float ofMean, float ofHat, int n) {
        FloatVector m = all(mean);
        FloatVector r = all(rstd);
        FloatVector o = all(ofMean);
        FloatVector h = all(-ofHat);
        int i = 0;
        for (; i <= n - VL; i += VL) {
            FloatVector d = load(dy + 4L * i).mul(load(w + 4L * i)).sub(o);
            store(load(x + 4L * i).sub(m).mul(r).fma(h, d).mul(r), to + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            FloatVector d = load(dy + 4L * i, mask).mul(load(w + 4L * i, mask)).sub(o);
            store(load(x + 4L * i, mask).sub(m).mul(r).fma(h, d).mul(r), to + 4L * i, mask);
        }
    }
}
