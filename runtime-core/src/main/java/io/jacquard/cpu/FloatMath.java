package io.jacquard.cpu;

import static io.jacquard.cpu.Mem.S;
import static io.jacquard.cpu.Mem.VL;
import static io.jacquard.cpu.Mem.all;
import static io.jacquard.cpu.Mem.load;
import static io.jacquard.cpu.Mem.store;
import static io.jacquard.cpu.Mem.tail;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/// The exponential and the loops over one row of floats that kernels are made of. Each loop is a method of its own:
/// C2 stops inlining in larger ones and boxes the vectors (3x slower).
final class FloatMath {
    private static final float LOG2E = 1.44269504f;
    private static final float ROUND = 12582912f; // 1.5 * 2^23: adding it rounds to an integer in the low bits
    private static final float EXP_MIN = -87.33654f;
    private static final float EXP_MAX = 88.72283f;

    private FloatMath() {}

    /// e^x to 1.3 ulp; 0 below -87.3, infinite above 88.7, NaN of NaN. Polynomial: Cephes `expf`.
    static FloatVector exp(FloatVector x) {
        FloatVector t = x.fma(all(LOG2E), all(ROUND));
        FloatVector n = t.sub(ROUND);
        FloatVector r = n.fma(all(-0.693359375f), x);
        r = n.fma(all(2.12194440e-4f), r);
        FloatVector p = all(1.9875691500e-4f).fma(r, all(1.3981999507e-3f));
        p = p.fma(r, all(8.3334519073e-3f));
        p = p.fma(r, all(4.1665795894e-2f));
        p = p.fma(r, all(1.6666665459e-1f));
        p = p.fma(r, all(5.0000001201e-1f));
        p = p.fma(r.mul(r), r.add(1f));
        FloatVector e = p.reinterpretAsInts()
                .add(t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23))
                .reinterpretAsFloats();
        VectorMask<Float> low = x.compare(VectorOperators.LT, EXP_MIN);
        VectorMask<Float> high = x.compare(VectorOperators.GT, EXP_MAX);
        VectorMask<Float> nan = x.compare(VectorOperators.NE, x);
        return e.blend(0f, low).blend(Float.POSITIVE_INFINITY, high).blend(x, nan);
    }

    /// As [#exp] between -87.3 and 88, and the value at that end outside: all that a sigmoid needs, in fewer
    /// operations (C2 stops inlining when a loop has too many, and GELU's gradient then runs 3x slower).
    static FloatVector expClamped(FloatVector unclamped) {
        FloatVector x = unclamped.blend(EXP_MIN, unclamped.compare(VectorOperators.LT, EXP_MIN));
        x = x.blend(88f, x.compare(VectorOperators.GT, 88f));
        FloatVector t = x.fma(all(LOG2E), all(ROUND));
        FloatVector n = t.sub(ROUND);
        FloatVector r = n.fma(all(-0.693359375f), x);
        r = n.fma(all(2.12194440e-4f), r);
        FloatVector p = all(1.9875691500e-4f).fma(r, all(1.3981999507e-3f));
        p = p.fma(r, all(8.3334519073e-3f));
        p = p.fma(r, all(4.1665795894e-2f));
        p = p.fma(r, all(1.6666665459e-1f));
        p = p.fma(r, all(5.0000001201e-1f));
        p = p.fma(r.mul(r), r.add(1f));
        return p.reinterpretAsInts()
                .add(t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23))
                .reinterpretAsFloats();
    }

    static float sum(long x, int n) {
        FloatVector s0 = FloatVector.zero(S);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        int i = 0;
        for (; i <= n - 4 * VL; i += 4 * VL) {
            s0 = s0.add(load(x + 4L * i));
            s1 = s1.add(load(x + 4L * (i + VL)));
            s2 = s2.add(load(x + 4L * (i + 2 * VL)));
            s3 = s3.add(load(x + 4L * (i + 3 * VL)));
        }
        return Mem.sumLanes(s0.add(s1).add(s2.add(s3))) + sumRest(x, i, n);
    }

    private static float sumRest(long x, int from, int n) {
        FloatVector s = FloatVector.zero(S);
        for (int i = from; i < n; i += VL) {
            s = s.add(load(x + 4L * i, tail(i, n)));
        }
        return Mem.sumLanes(s);
    }

    /// Sum of `(x - mean)^2`.
    static float sumOfSquares(long x, float mean, int n) {
        FloatVector m = all(mean);
        FloatVector s0 = FloatVector.zero(S);
        FloatVector s1 = s0;
        FloatVector s2 = s0;
        FloatVector s3 = s0;
        int i = 0;
        for (; i <= n - 4 * VL; i += 4 * VL) {
            FloatVector d0 = load(x + 4L * i).sub(m);
            FloatVector d1 = load(x + 4L * (i + VL)).sub(m);
            FloatVector d2 = load(x + 4L * (i + 2 * VL)).sub(m);
            FloatVector d3 = load(x + 4L * (i + 3 * VL)).sub(m);
            s0 = d0.fma(d0, s0);
            s1 = d1.fma(d1, s1);
            s2 = d2.fma(d2, s2);
            s3 = d3.fma(d3, s3);
        }
        return Mem.sumLanes(s0.add(s1).add(s2.add(s3))) + sumOfSquaresRest(x, mean, i, n);
    }

    private static float sumOfSquaresRest(long x, float mean, int from, int n) {
        FloatVector s = FloatVector.zero(S);
        for (int i = from; i < n; i += VL) {
            VectorMask<Float> mask = tail(i, n);
            FloatVector d = load(x + 4L * i, mask).lanewise(VectorOperators.SUB, mean, mask);
            s = d.fma(d, s);
        }
        return Mem.sumLanes(s);
    }

    static float dot(long x, long y, int n) {
        FloatVector s0 = FloatVector.zero(S);
        FloatVector s1 = s0;
        int i = 0;
        for (; i <= n - 2 * VL; i += 2 * VL) {
            s0 = load(x + 4L * i).fma(load(y + 4L * i), s0);
            s1 = load(x + 4L * (i + VL)).fma(load(y + 4L * (i + VL)), s1);
        }
        return Mem.sumLanes(s0.add(s1)) + dotRest(x, y, i, n);
    }

    private static float dotRest(long x, long y, int from, int n) {
        FloatVector s = FloatVector.zero(S);
        for (int i = from; i < n; i += VL) {
            VectorMask<Float> mask = tail(i, n);
            s = load(x + 4L * i, mask).fma(load(y + 4L * i, mask), s);
        }
        return Mem.sumLanes(s);
    }

    static float max(long x, int n) {
        FloatVector m0 = all(Float.NEGATIVE_INFINITY);
        FloatVector m1 = m0;
        int i = 0;
        for (; i <= n - 2 * VL; i += 2 * VL) {
            m0 = m0.max(load(x + 4L * i));
            m1 = m1.max(load(x + 4L * (i + VL)));
        }
        float m = Mem.maxLanes(m0.max(m1));
        for (; i < n; i++) {
            m = Math.max(m, Mem.getFloat(x + 4L * i));
        }
        return m;
    }

    /// `y = e^(x - shift)`, returning the sum.
    static float expSum(long y, long x, float shift, int n) {
        FloatVector m = all(shift);
        FloatVector s = FloatVector.zero(S);
        int i = 0;
        for (; i <= n - VL; i += VL) {
            FloatVector e = exp(load(x + 4L * i).sub(m));
            s = s.add(e);
            store(e, y + 4L * i);
        }
        return Mem.sumLanes(s) + (i < n ? expSumTail(y, x, shift, i, n) : 0f);
    }

    private static float expSumTail(long y, long x, float shift, int i, int n) {
        VectorMask<Float> mask = tail(i, n);
        FloatVector e = exp(load(x + 4L * i, mask).sub(shift));
        store(e, y + 4L * i, mask);
        return Mem.sumLanes(FloatVector.zero(S).blend(e, mask));
    }

    /// `y = x * k`.
    static void scale(long y, long x, float k, int n) {
        FloatVector kv = all(k);
        int i = 0;
        for (; i <= n - VL; i += VL) {
            store(load(x + 4L * i).mul(kv), y + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            store(load(x + 4L * i, mask).mul(kv), y + 4L * i, mask);
        }
    }

    /// `y = x + y`.
    static void accumulate(long y, long x, int n) {
        int i = 0;
        for (; i <= n - VL; i += VL) {
            store(load(x + 4L * i).add(load(y + 4L * i)), y + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            store(load(x + 4L * i, mask).add(load(y + 4L * i, mask)), y + 4L * i, mask);
        }
    }

    /// `y = x + z`.
    static void add(long y, long x, long z, int n) {
        int i = 0;
        for (; i <= n - VL; i += VL) {
            store(load(x + 4L * i).add(load(z + 4L * i)), y + 4L * i);
        }
        if (i < n) {
            VectorMask<Float> mask = tail(i, n);
            store(load(x + 4L * i, mask).add(load(z + 4L * i, mask)), y + 4L * i, mask);
        }
    }
}
