package io.jacquard.cpu;

import static io.jacquard.cpu.Mem.VL;
import static io.jacquard.cpu.Mem.all;
import static io.jacquard.cpu.Mem.load;
import static io.jacquard.cpu.Mem.store;
import static io.jacquard.cpu.Mem.tail;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import org.jspecify.annotations.Nullable;

/// Sums over whole tensors and the optimizers' single pass over flat weights.
final class Optimizers {
    /// Elements that share one flag of weight decay.
    private static final int DECAY_GROUP = 256;

    record AdamW(
            Operand values,
            Operand master,
            Operand m,
            Operand v,
            Operand gradients,
            Operand learningRate,
            Operand step,
            Operand norm,
            Operand decays,
            float beta1,
            float beta2,
            float epsilon,
            float weightDecay,
            float clip,
            @Nullable StochasticRounding rounding,
            long n) {}

    record Sgd(
            Operand values,
            Operand master,
            Operand momentum,
            Operand gradients,
            Operand learningRate,
            Operand norm,
            Operand decays,
            float momentumFactor,
            float weightDecay,
            float clip,
            @Nullable StochasticRounding rounding,
            long n) {}

    private interface PartialSum {
        double of(long floats, int n);
    }

    private Optimizers() {}

    static void sum(Workers workers, Operand out, Operand x, long n) {
        Mem.setFloat(out.address(), (float) total(workers, x, n, FloatMath::sum));
    }

    /// {norm, finite}.
    static void norm(Workers workers, Operand out, Operand x, long n) {
        double squares = total(workers, x, n, Optimizers::squares);
        Mem.setFloat(out.at(0), (float) Math.sqrt(squares));
        Mem.setFloat(out.at(1), Double.isFinite(squares) ? 1f : 0f);
    }

    /// The sum of squares of finite floats is finite as a double, so that only values that are not finite raise the
    /// flag.
    private static double squares(long x, int n) {
        float s = FloatMath.sumOfSquares(x, 0f, n);
        if (Float.isFinite(s)) {
            return s;
        }
        double sum = 0;
        for (int i = 0; i < n; i++) {
            double value = Mem.getFloat(x + 4L * i);
            sum += value * value;
        }
        return sum;
    }

    /// Blocks in F32, their sums in F64 in the order of the blocks.
    private static double total(Workers workers, Operand x, long n, PartialSum partial) {
        double[] sums = new double[Elementwise.chunks(n)];
        workers.run(sums.length, (chunk, lane) -> {
            long from = (long) chunk * Elementwise.CHUNK;
            long end = Math.min(n, from + Elementwise.CHUNK);
            long scratch = lane.floats(Elementwise.BLOCK);
            double sum = 0;
            for (long i = from; i < end; i += Elementwise.BLOCK) {
                int m = (int) Math.min(Elementwise.BLOCK, end - i);
                sum += partial.of(x.read(i, m, scratch), m);
            }
            sums[chunk] = sum;
        });
        double sum = 0;
        for (double s : sums) {
            sum += s;
        }
        return sum;
    }

    static void count(Operand counter, Operand flag, int index) {
        Mem.setInt(counter.address(), Mem.getInt(counter.address()) + (int) Mem.getFloat(flag.at(index)));
    }

    private static float clipping(Operand norm, float clip) {
        return clip > 0f ? Math.min(1f, clip / (Mem.getFloat(norm.at(0)) + 1e-6f)) : 1f;
    }

    /// Calls `body` for runs of elements with the same decay flag, a block at most.
    private interface Run {
        void run(long from, int n, boolean decays, Lane lane);
    }

    private static void runs(Workers workers, Operand decays, long n, Run body) {
        workers.run(Elementwise.chunks(n), (chunk, lane) -> {
            long from = (long) chunk * Elementwise.CHUNK;
            long end = Math.min(n, from + Elementwise.CHUNK);
            while (from < end) {
                byte flag = Mem.getByte(decays.at(from / DECAY_GROUP));
                long to = from + DECAY_GROUP;
                while (to < end && to - from < Elementwise.BLOCK && Mem.getByte(decays.at(to / DECAY_GROUP)) == flag) {
                    to += DECAY_GROUP;
                }
                to = Math.min(to, end);
                long mark = lane.mark();
                body.run(from, (int) (to - from), flag != 0, lane);
                lane.release(mark);
                from = to;
            }
        });
    }

    static void adamW(Workers workers, AdamW a) {
        if (Mem.getFloat(a.norm.at(1)) == 0f) {
            return;
        }
        float k = clipping(a.norm, a.clip);
        float rate = Mem.getFloat(a.learningRate.address());
        int step = Mem.getInt(a.step.address());
        float stepSize = (float) (rate / (1 - Math.pow(a.beta1, step)));
        float rootScale = (float) (1 / Math.sqrt(1 - Math.pow(a.beta2, step)));
        float kept = 1f - rate * a.weightDecay;
        runs(workers, a.decays, a.n, (from, n, decays, lane) -> {
            long g = floats(a.gradients, from, n, lane);
            long m = floats(a.m, from, n, lane);
            long v = floats(a.v, from, n, lane);
            long w = floats(a.master, from, n, lane);
            moments(m, v, w, g, decays ? kept : 1f, stepSize, rootScale, k, a, n);
            if (a.rounding == null) {
                publish(a.values, a.master, from, n);
                return;
            }
            long words = a.rounding.words(from, n, lane);
            StochasticRounding.round(w, words, StochasticRounding.LOW, a.master.at(from), n);
            StochasticRounding.round(m, words, StochasticRounding.HIGH, a.m.at(from), n);
            StochasticRounding.round(v, words, StochasticRounding.SUM, a.v.at(from), n);
        });
    }

    /// Where `n` elements from `from` on lie as floats: in place, or in scratch.
    private static long floats(Operand x, long from, int n, Lane lane) {
        return x.read(from, n, x.inPlace() ? 0 : lane.floats(n));
    }

    private static void publish(Operand values, Operand master, long from, int n) {
        if (values.address() != master.address()) {
            Convert.narrow(values.type(), master.at(from), values.at(from), n);
        }
    }

    private static void moments(
            long m, long v, long w, long g, float kept, float stepSize, float rootScale, float clip, AdamW a, int n) {
        FloatVector b1 = all(a.beta1);
        FloatVector b2 = all(a.beta2);
        FloatVector c1 = all((1f - a.beta1) * clip);
        FloatVector c2 = all((1f - a.beta2) * clip * clip);
        FloatVector eps = all(a.epsilon);
        FloatVector root = all(rootScale);
        FloatVector keep = all(kept);
        FloatVector rate = all(-stepSize);
        int i = 0;
        for (; i <= n - VL; i += VL) {
            FloatVector gi = load(g + 4L * i);
            FloatVector mi = load(m + 4L * i).mul(b1).add(gi.mul(c1));
            FloatVector vi = load(v + 4L * i).mul(b2).add(gi.mul(gi).mul(c2));
            store(mi, m + 4L * i);
            store(vi, v + 4L * i);
            FloatVector down = vi.sqrt().fma(root, eps);
            store(mi.div(down).fma(rate, load(w + 4L * i).mul(keep)), w + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            FloatVector gi = load(g + 4L * i, mask);
            FloatVector mi = load(m + 4L * i, mask).mul(b1).add(gi.mul(c1));
            FloatVector vi = load(v + 4L * i, mask).mul(b2).add(gi.mul(gi).mul(c2));
            store(mi, m + 4L * i, mask);
            store(vi, v + 4L * i, mask);
            FloatVector down = vi.sqrt().fma(root, eps);
            store(mi.div(down).fma(rate, load(w + 4L * i, mask).mul(keep)), w + 4L * i, mask);
        }
    }

    static void sgd(Workers workers, Sgd s) {
        if (Mem.getFloat(s.norm.at(1)) == 0f) {
            return;
        }
        float k = clipping(s.norm, s.clip);
        float rate = Mem.getFloat(s.learningRate.address());
        float kept = 1f - rate * s.weightDecay;
        runs(workers, s.decays, s.n, (from, n, decays, lane) -> {
            long g = floats(s.gradients, from, n, lane);
            long b = floats(s.momentum, from, n, lane);
            long w = floats(s.master, from, n, lane);
            momentum(b, w, g, s.momentumFactor, k, decays ? kept : 1f, rate, n);
            if (s.rounding == null) {
                publish(s.values, s.master, from, n);
                return;
            }
            long words = s.rounding.words(from, n, lane);
            StochasticRounding.round(w, words, StochasticRounding.LOW, s.master.at(from), n);
            StochasticRounding.round(b, words, StochasticRounding.HIGH, s.momentum.at(from), n);
        });
    }

    private static void momentum(long b, long w, long g, float factor, float clip, float kept, float rate, int n) {
        FloatVector f = all(factor);
        FloatVector k = all(clip);
        FloatVector keep = all(kept);
        FloatVector r = all(-rate);
        int i = 0;
        for (; i <= n - VL; i += VL) {
            FloatVector bi = load(b + 4L * i).mul(f).add(load(g + 4L * i).mul(k));
            store(bi, b + 4L * i);
            store(bi.fma(r, load(w + 4L * i).mul(keep)), w + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            FloatVector bi =
                    load(b + 4L * i, mask).mul(f).add(load(g + 4L * i, mask).mul(k));
            store(bi, b + 4L * i, mask);
            store(bi.fma(r, load(w + 4L * i, mask).mul(keep)), w + 4L * i, mask);
        }
    }
}
