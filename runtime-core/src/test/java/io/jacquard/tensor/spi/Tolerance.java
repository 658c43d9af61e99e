package io.jacquard.tensor.spi;

import static org.junit.jupiter.api.Assertions.fail;

import io.jacquard.tensor.DType;
import java.util.function.Function;

/// How far a kernel's result may be from the double-precision reference. The one place where this is decided:
///
/// ```
/// |got - exact| <= 2 * E + ulp(dtype, exact)
/// E = max over the output of |naive - exact|, at least half a float ulp of the output's largest value
/// ```
///
/// `naive` is the same formula in float arithmetic *before* rounding to the output's dtype: once rounding to nearest,
/// then rounding to a random neighbour (the more often, the fewer elements E is the maximum of), so that a lucky order
/// of summation does not make the bound too small. The final rounding to the output's dtype is the ulp at that very
/// element. So a bf16 kernel has float's room for its arithmetic and one bf16 ulp for its result, and none for sums
/// kept in bf16.
///
/// Non-finite results must be equal: NaN where NaN is due, the right infinity where infinity is due.
record Tolerance(double[] exact, double naiveError, DType dtype) {
    static Tolerance derive(DType dtype, Function<Arithmetic, double[]> formula) {
        double[] exact = formula.apply(Arithmetic.EXACT);
        double largest = 0;
        for (double e : exact) {
            largest = Double.isFinite(e) ? Math.max(largest, Math.abs(e)) : largest;
        }
        double error = Math.ulp((float) largest) / 2;
        int perturbed = Math.clamp(2000 / Math.max(1, exact.length), 1, 32);
        for (int run = 0; run <= perturbed; run++) {
            double[] naive = formula.apply(run == 0 ? Arithmetic.naive() : Arithmetic.naive(run));
            for (int i = 0; i < exact.length; i++) {
                double d = Math.abs(naive[i] - exact[i]);
                error = Double.isFinite(d) ? Math.max(error, d) : error;
            }
        }
        return new Tolerance(exact, error, dtype);
    }

    double bound(int i) {
        return 2 * naiveError + Numbers.ulp(dtype, exact[i]);
    }

    void check(String what, double[] got) {
        if (got.length != exact.length) {
            fail(what + ": the reference has " + exact.length + " elements, the result " + got.length);
        }
        for (int i = 0; i < got.length; i++) {
            if (!close(i, got[i])) {
                fail(what + "[" + i + "] is " + got[i] + ", the reference " + exact[i] + ", off by "
                        + Math.abs(got[i] - exact[i]) + ", allowed " + bound(i) + " (naive float: " + naiveError + ")"
                        + others(got));
            }
        }
    }

    private boolean close(int i, double got) {
        double e = exact[i];
        if (Double.isNaN(e)) {
            return Double.isNaN(got);
        }
        if (Math.abs(got - e) <= bound(i)) {
            return true;
        }
        double rounded = Numbers.round(dtype, e); // an infinity, or a value beyond the largest of the dtype
        return Double.isInfinite(rounded) && rounded == got;
    }

    private String others(double[] got) {
        int wrong = 0;
        for (int i = 0; i < got.length; i++) {
            wrong += close(i, got[i]) ? 0 : 1;
        }
        return "; " + wrong + " of " + got.length + " elements are wrong";
    }
}
