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
            gradient(logits, i, c, label, e, sum, Mem.getFloat(scale.address()));
        }
    }

    /// From `e`, the exponentials, and their sum; `label` may be no column of these.
    private static void gradient(Operand logits, long i, int c, int label, long e, float sum, float scale) {
        FloatMath.scale(e, e, scale / sum, c);
        if (label >= 0 && label < c) {
            Mem.setFloat(e + 4L * label, Mem.getFloat(e + 4L * label) - scale);
        }
        logits.written(i * c, c, e);
    }

    // ---- columns divided among ranks

    /// The statistics of `ranks` parts of each of `rows` rows, F32 `[ranks, 3, rows]`.
    record Parts(long address, int ranks, long rows) {
        private float at(int rank, int which, long row) {
            return Mem.getFloat(address + 4 * ((3L * rank + which) * rows + row));
        }

        private float largest(int which, long row) {
            float largest = at(0, which, row);
            for (int r = 1; r < ranks; r++) {
                largest = Math.max(largest, at(r, which, row));
            }
            return largest;
        }

        private float sum(long row, float max) {
            float sum = 0f;
            for (int r = 0; r < ranks; r++) {
                sum += at(r, 1, row) * (float) Math.exp(at(r, 0, row) - max);
            }
            return sum;
        }
    }

    static void stats(Workers workers, long stats, Operand logits, Operand labels, int firstLabel, long rows, int c) {
        Rows.run(workers, rows, c, (first, last, lane) -> {
            long read = lane.floats(c);
            long powers = lane.floats(c);
            for (long i = first; i < last; i++) {
                int label = Mem.getInt(labels.at(i));
                // not -inf: of a row that is masked out the differences would be NaN
                float max = -Float.MAX_VALUE;
                float sum = 0f;
                float atLabel = Float.NEGATIVE_INFINITY;
                if (label >= 0) {
                    long x = logits.read(i * c, c, read);
                    max = Math.max(max, FloatMath.max(x, c));
                    sum = FloatMath.expSum(powers, x, max, c);
                    int column = label - firstLabel;
                    atLabel = column >= 0 && column < c ? Mem.getFloat(x + 4L * column) : atLabel;
                }
                Mem.setFloat(stats + 4 * i, max);
                Mem.setFloat(stats + 4 * (rows + i), sum);
                Mem.setFloat(stats + 4 * (2 * rows + i), atLabel);
            }
        });
    }

    static void shard(
            Workers workers,
            Operand losses,
            Operand logits,
            Operand labels,
            int firstLabel,
            Parts parts,
            @Nullable Operand scale,
            int c) {
        Rows.run(workers, parts.rows, c, (first, last, lane) -> {
            long read = lane.floats(c);
            for (long i = first; i < last; i++) {
                int label = Mem.getInt(labels.at(i));
                if (label < 0) {
                    ignored(losses, logits, scale, i, c);
                    continue;
                }
                float max = parts.largest(0, i);
                float sum = parts.sum(i, max);
                Mem.setFloat(losses.at(i), (float) Math.log(sum) + (max - parts.largest(2, i)));
                if (scale != null) {
                    long x = logits.read(i * c, c, read);
                    FloatMath.expSum(x, x, max, c);
                    gradient(logits, i, c, label - firstLabel, x, sum, Mem.getFloat(scale.address()));
                }
            }
        });
    }
}
