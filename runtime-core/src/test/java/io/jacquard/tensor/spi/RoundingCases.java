package io.jacquard.tensor.spi;

import static io.jacquard.tensor.spi.Trial.constant;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.spi.Trial.Operand;
import io.jacquard.tensor.spi.Trial.Table;
import java.util.Arrays;

/// What is special about state in BF16: values that have no neighbour to round to, and the expectation of all others.
final class RoundingCases {
    private static final int MANY = 1 << 14;

    private RoundingCases() {}

    static void into(Table table) {
        table.add("sgd", "special: state that is rounded beyond the ends", RoundingCases::ends);
        table.add("sgd", "rounded without bias", RoundingCases::sgdIsUnbiased);
        table.add("adamW", "rounded without bias", RoundingCases::adamWIsUnbiased);
    }

    private record Flat(Operand values, Operand rate, Operand norm, Operand decays, Draws draws) {
        static Flat of(Trial t, double rate, int n) {
            return new Flat(
                    t.in("values", DType.BF16, constant(1), n),
                    t.in("learningRate", DType.F32, constant(rate), 1),
                    t.in("norm", DType.F32, constant(1), 2),
                    t.in("decays", DType.U8, constant(0), (n + 255) / 256),
                    Draws.of(t, n));
        }
    }

    private static void sgd(Trial t, Flat f, Operand momentum, Operand gradients, float factor) {
        t.run(k -> k.sgd(
                f.values.tensor(),
                f.values.tensor(),
                momentum.tensor(),
                gradients.tensor(),
                f.rate.tensor(),
                f.norm.tensor(),
                f.decays.tensor(),
                factor,
                0f,
                0f,
                f.draws.rounding()));
    }

    /// Half of the momentum and the gradient are sums without a rounding error, so that each bit is known.
    private static void ends(Trial t) {
        double largest = Math.scalb(255.0, 120);
        double half = Math.scalb(255.0, 119);
        double up = Math.scalb(0.75, 120);
        double[] before = {1 / 0., -1 / 0., Double.NaN, largest, -largest, 0x1p-133, -0x1.8p-130, 0, 1};
        double[] gradients = {1, -1, 1, half + up, -half - up, 0x1p-149, 0, 0, 0x1.fffffep-1};
        int n = 40 * before.length;
        Flat f = Flat.of(t, 0, n);
        Operand momentum = t.in("momentum", DType.BF16, Trial.values(before), n);
        Operand g = t.in("gradients", DType.F32, Trial.values(gradients), n);
        sgd(t, f, momentum, g, 0.5f);
        double[] sums = new double[n];
        double[] weights = new double[n];
        for (int i = 0; i < n; i++) {
            sums[i] = (float) (0.5 * before[i % before.length] + gradients[i % before.length]);
            weights[i] = Double.isFinite(sums[i]) ? 1 : Double.NaN; // 0 * infinity
        }
        t.expectExactly(momentum, f.draws.round(sums, Draws.Bits.HIGH));
        t.expectExactly(f.values, weights);
    }

    private static void sgdIsUnbiased(Trial t) {
        Flat f = Flat.of(t, 0x1p-6, MANY);
        Operand momentum = t.in("momentum", DType.BF16, constant(0), MANY);
        Operand gradients = t.in("gradients", DType.F32, constant(0.7), MANY);
        sgd(t, f, momentum, gradients, 0f);
        double g = gradients.initial()[0];
        unbiased(t, momentum, g);
        unbiased(t, f.values, 1 - 0x1p-6 * g);
        t.expectThat(momentum, _ -> independent(f.values, momentum));
    }

    private static void adamWIsUnbiased(Trial t) {
        Flat f = Flat.of(t, 1e-3, MANY);
        Operand mean = t.in("m", DType.BF16, constant(0), MANY);
        Operand square = t.in("v", DType.BF16, constant(0), MANY);
        Operand gradients = t.in("gradients", DType.F32, constant(0.7), MANY);
        Operand step = t.in("step", DType.I32, constant(1), 1);
        t.run(k -> k.adamW(
                f.values.tensor(),
                f.values.tensor(),
                mean.tensor(),
                square.tensor(),
                gradients.tensor(),
                f.rate.tensor(),
                step.tensor(),
                f.norm.tensor(),
                f.decays.tensor(),
                0.9f,
                0.99f,
                0f,
                0f,
                0f,
                f.draws.rounding()));
        double g = gradients.initial()[0];
        unbiased(t, mean, (1 - 0.9f) * g);
        unbiased(t, square, (1 - 0.99f) * g * g);
        unbiased(t, f.values, 1 - 1e-3); // the first step is the rate, whatever the gradient
        t.expectThat(square, _ -> {
            independent(f.values, mean);
            independent(f.values, square);
            independent(mean, square);
        });
    }

    /// Each element is one of the neighbours of `exact`, and their mean is `exact` within 5 standard errors.
    private static void unbiased(Trial t, Operand o, double exact) {
        double unit = Numbers.ulp(DType.BF16, exact);
        double above = exact / unit - Math.floor(exact / unit);
        double deviation = unit * Math.sqrt(above * (1 - above));
        t.expectThat(o, got -> {
            for (double x : got) {
                assertTrue(Math.abs(x - exact) < unit, o.name + " is " + x + ", not next to " + exact);
            }
            double mean = Arrays.stream(got).average().orElseThrow();
            assertEquals(exact, mean, 5 * deviation / Math.sqrt(got.length) + 4e-7 * exact, o.name);
        });
    }

    /// The correlation of what rounding did to two tensors is 0 within 5 standard errors.
    private static void independent(Operand a, Operand b) {
        double[] x = standardised(a.got());
        double[] y = standardised(b.got());
        double sum = 0;
        for (int i = 0; i < x.length; i++) {
            sum += x[i] * y[i];
        }
        assertEquals(0, sum / x.length, 5 / Math.sqrt(x.length), a.name + " and " + b.name);
    }

    private static double[] standardised(double[] x) {
        double mean = Arrays.stream(x).average().orElseThrow();
        double variance =
                Arrays.stream(x).map(v -> (v - mean) * (v - mean)).average().orElseThrow();
        return Arrays.stream(x).map(v -> (v - mean) / Math.sqrt(variance)).toArray();
    }
}
