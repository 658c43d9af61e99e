package io.jacquard.cpu;

import static io.jacquard.cpu.Mem.VL;
import static io.jacquard.cpu.Mem.all;
import static io.jacquard.cpu.Mem.load;
import static io.jacquard.cpu.Mem.store;
import static io.jacquard.cpu.Mem.tail;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/// GELU and SwiGLU over runs of floats.
final class Activations {
    private static final float K0 = 0.7978845608f; // sqrt(2 / pi)
    private static final float K1 = 0.044715f;

    private Activations() {}

    /// `0.5 (1 + tanh u) = sigmoid(2u)`: one exponential, no tanh.
    private static FloatVector gelu(FloatVector x) {
        FloatVector u = x.mul(x).fma(all(-2 * K0 * K1), all(-2 * K0)).mul(x);
        return x.div(FloatMath.expClamped(u).add(1f));
    }

    private static FloatVector geluSlope(FloatVector x) {
        FloatVector x2 = x.mul(x);
        FloatVector u = x2.fma(all(-2 * K0 * K1), all(-2 * K0)).mul(x);
        FloatVector s = all(1f).div(FloatMath.expClamped(u).add(1f));
        FloatVector slope = x2.fma(all(6 * K0 * K1), all(2 * K0)).mul(x);
        return s.neg().add(1f).mul(slope).fma(s, s);
    }

    static void gelu(long out, long x, int n) {
        int i = 0;
        for (; i <= n - VL; i += VL) {
            store(gelu(load(x + 4L * i)), out + 4L * i);
        }
        if (i < n) {
            geluTail(out, x, i, n);
        }
    }

    private static void geluTail(long out, long x, int i, int n) {
        VectorMask<Float> mask = tail(i, n);
        store(gelu(load(x + 4L * i, mask)), out + 4L * i, mask);
    }

    /// `out = dy * gelu'(x)`.
    static void geluGrad(long out, long dy, long x, int n) {
        int i = 0;
        for (; i <= n - VL; i += VL) {
            store(geluSlope(load(x + 4L * i)).mul(load(dy + 4L * i)), out + 4L * i);
        }
        if (i < n) {
            geluGradTail(out, dy, x, i, n);
        }
    }

    private static void geluGradTail(long out, long dy, long x, int i, int n) {
        VectorMask<Float> mask = tail(i, n);
        store(geluSlope(load(x + 4L * i, mask)).mul(load(dy + 4L * i, mask)), out + 4L * i, mask);
    }

    private static FloatVector sigmoid(FloatVector x) {
        return all(1f).div(FloatMath.expClamped(x.neg()).add(1f));
    }

    /// `out = gate * sigmoid(gate) * up`.
    static void swiGlu(long out, long gate, long up, int n) {
        int i = 0;
        for (; i <= n - VL; i += VL) {
            FloatVector g = load(gate + 4L * i);
            store(g.div(FloatMath.expClamped(g.neg()).add(1f)).mul(load(up + 4L * i)), out + 4L * i);
        }
        if (i < n) {
            swiGluTail(out, gate, up, i, n);
        }
    }

    private static void swiGluTail(long out, long gate, long up, int i, int n) {
        VectorMask<Float> mask = tail(i, n);
        FloatVector g = load(gate + 4L * i, mask);
        store(g.div(FloatMath.expClamped(g.neg()).add(1f)).mul(load(up + 4L * i, mask)), out + 4L * i, mask);
    }

    /// Both halves of the gradient.
    static void swiGluGrad(long dGate, long dUp, long dy, long gate, long up, int n) {
        int i = 0;
        for (; i <= n - VL; i += VL) {
            FloatVector g = load(gate + 4L * i);
            FloatVector d = load(dy + 4L * i);
            FloatVector s = sigmoid(g);
            FloatVector slope = s.neg().add(1f).mul(g).fma(s, s);
            FloatVector du = d.mul(g.mul(s));
            store(d.mul(load(up + 4L * i)).mul(slope), dGate + 4L * i);
            store(du, dUp + 4L * i);
        }
        if (i < n) {
            swiGluGradTail(dGate, dUp, dy, gate, up, i, n);
        }
    }

    private static void swiGluGradTail(long dGate, long dUp, long dy, long gate, long up, int i, int n) {
        VectorMask<Float> mask = tail(i, n);
        FloatVector g = load(gate + 4L * i, mask);
        FloatVector d = load(dy + 4L * i, mask);
        FloatVector s = sigmoid(g);
        FloatVector slope = s.neg().add(1f).mul(g).fma(s, s);
        FloatVector du = d.mul(g.mul(s));
        store(d.mul(load(up + 4L * i, mask)).mul(slope), dGate + 4L * i, mask);
        store(du, dUp + 4L * i, mask);
    }
}
