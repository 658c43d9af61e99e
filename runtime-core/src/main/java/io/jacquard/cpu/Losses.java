package io.jacquard.cpu;

import static io.jacquard.cpu.Mem.VL;
import static io.jacquard.cpu.Mem.all;
import static io.jacquard.cpu.Mem.load;
import static io.jacquard.cpu.Mem.store;
import static io.jacquard.cpu.Mem.tail;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import org.jspecify.annotations.Nullable;

/// Softmax and the cross entropy of tokens.
final class Losses {
    private Losses() {}

    static void softmax(Workers workers, Operand out, Operand x, long rows, int c) {
        Rows.run(workers, rows, c, (first, last, lane) -> {
            long s = lane.floats(c);
            for (long i = first; i < last; i++) {
                long from = x.read(i * c, c, s);
                long to = out.target(i * c, s);
                float sum = FloatMath.expSum(to, from, FloatMath.max(from, c), c);
                FloatMath.scale(to, to, 1f / sum, c);
                out.written(i * c, c, s);
            }
        });
    }

    static void softmaxGrad(Workers workers, Operand dx, Operand dy, Operand y, float beta, long rows, int c) {
        Rows.run(workers, rows, c, (first, last, lane) -> {
            long sd = lane.floats(c);
            long sy = lane.floats(c);
            long so = lane.floats(c);
            for (long i = first; i < last; i++) {
                long d = dy.read(i * c, c, sd);
                long p = y.read(i * c, c, sy);
                long to = beta == 0f ? dx.target(i * c, so) : so;
                shiftedProduct(to, d, FloatMath.dot(d, p, c), p, c);
                Rows.store(dx, i * c, c, to, sd, beta);
            }
        });
    }

    /// `to = (d - shift) * p`.
    private static void shiftedProduct(long to, long d, float shift, long p, int n) {
        FloatVector s = all(shift);
        int i = 0;
        for (; i <= n - VL; i += VL) {
            store(load(d + 4L * i).sub(s).mul(load(p + 4L * i)), to + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            store(load(d + 4L * i, mask).sub(s).mul(load(p + 4L * i, mask)), to + 4L * i, mask);
        }
    }

    static void crossEntropy(
            Workers workers,
            Operand losses,
            Operand logits,
            Operand labels,
            @Nullable Operand scale,
            long rows,
            int c) {
        Rows.run(workers, rows, c, (first, last, lane) -> {
            long read = lane.floats(c);
            long powers = lane.floats(c);
            for (long i = first; i < last; i++) {
                int label = Mem.getInt(labels.at(i));
                if (label >= c) {
                    throw new IllegalArgumentException(
                            "crossEntropy: label " + label + " of row " + i + " is not below the " + c + " classes");
                }
                if (label < 0) {
                    ignored(losses, logits, scale, i, c);
                } else {
                    row(losses, logits, scale, i, c, label, read, powers);
                }
            }
        });
    }

    private static void ignored(Operand losses, Operand logits, @Nullable Operand scale, long i, int c) {
        Mem.setFloat(losses.at(i), 0f);
        if (scale != null) {
            Mem.zero(logits.at(i * c), (long) c * logits.elementBytes());
        }
    }

    private static void row(
            Operand losses, Operand logits, @Nullable Operand scale, long i, int c, int label, long read, long powers) {
        long x = logits.read(i * c, c, read);
        float max = FloatMath.max(x, c);
        float atLabel = Mem.getFloat(x + 4L * label);
        // the gradient takes the row's own place; without one the logits stay
        long e = scale == null ? powers : x;
        float sum = FloatMath.expSum(e, x, max, c);
        Mem.setFloat(losses.at(i), (float) Math.log(sum) + (max - atLabel));
        if (scale != null) {
            float k = Mem.getFloat(scale.address());
            FloatMath.scale(e, e, k / sum, c);
            Mem.setFloat(e + 4L * label, Mem.getFloat(e + 4L * label) - k);
            logits.written(i * c, c, e);
        }
    }
}
