package io.jacquard.tensor.spi;

import io.jacquard.tensor.DType;
import java.math.BigInteger;
import java.util.function.IntToDoubleFunction;

/// In what precision a reference formula is evaluated. A formula is written once and wraps each operation in [#r]: in
/// [#EXACT] nothing is rounded (double), in [#naive] every operation is rounded to float, which is what a
/// straightforward float implementation computes (a double operation on floats, rounded, is the float operation).
final class Arithmetic {
    static final Arithmetic EXACT = new Arithmetic(0, 0);

    private final int mode;
    private long state;

    private Arithmetic(int mode, long seed) {
        this.mode = mode;
        this.state = seed;
    }

    /// Float, to nearest.
    static Arithmetic naive() {
        return new Arithmetic(1, 0);
    }

    /// Float, to either neighbour by chance: another order of the same operations, or an `exp` that is off by an
    /// ulp.
    static Arithmetic naive(long seed) {
        return new Arithmetic(2, seed * 0x9E3779B97F4A7C15L + 1);
    }

    double r(double x) {
        return mode == 0 ? x : rounded(x);
    }

    private double rounded(double x) {
        float f = (float) x;
        if (mode == 1 || f == x || Float.isNaN(f) || Float.isInfinite(f)) {
            return f;
        }
        if ((random() & 0x100) == 0) {
            return f;
        }
        return f > x ? Math.nextDown(f) : Math.nextUp(f);
    }

    /// A value that low-precision implementations keep in `dtype` between two products (probabilities of
    /// attention).
    double store(DType dtype, double x) {
        return mode == 0 ? x : Numbers.round(dtype, x);
    }

    double add(double a, double b) {
        return r(a + b);
    }

    double mul(double a, double b) {
        return r(a * b);
    }

    double fma(double a, double b, double c) {
        return r(r(a * b) + c);
    }

    /// A sum, from the first term to the last; in perturbed arithmetic from anywhere, in steps of any width.
    double sum(int n, IntToDoubleFunction term) {
        int start = 0;
        int step = 1;
        if (mode == 2 && n > 2) {
            start = random() % n;
            do {
                step = 1 + random() % (n - 1);
            } while (BigInteger.valueOf(step).gcd(BigInteger.valueOf(n)).intValue() != 1);
        }
        double sum = 0;
        for (int k = 0; k < n; k++) {
            sum = r(sum + term.applyAsDouble((int) ((start + (long) k * step) % n)));
        }
        return sum;
    }

    private int random() {
        state ^= state << 13;
        state ^= state >>> 7;
        state ^= state << 17;
        return (int) (state >>> 33);
    }

    double div(double a, double b) {
        return r(a / b);
    }

    double exp(double x) {
        return r(Math.exp(x));
    }

    double log(double x) {
        return r(Math.log(x));
    }

    double tanh(double x) {
        return r(Math.tanh(x));
    }

    double sqrt(double x) {
        return r(Math.sqrt(x));
    }

    double pow(double a, double b) {
        return r(Math.pow(a, b));
    }

    double sin(double x) {
        return r(Math.sin(x));
    }

    double cos(double x) {
        return r(Math.cos(x));
    }
}
