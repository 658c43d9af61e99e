package io.jacquard.quantize;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;

/// [Int4Rounding#LEARNED] of one weight, by Adam on a variable for each of its elements. The gradient of all rows'
/// errors, `2 d h`, is one product on the device.
final class LearnedRounding {
    private static final int ITERATIONS = 400;

    /// Iterations before the regularizer begins.
    private static final int FREE = ITERATIONS / 5;

    private static final double RATE = 0.05;
    private static final double WEIGHT = 0.05;

    // the rectified sigmoid of the paper
    private static final double ZETA = 1.1;
    private static final double GAMMA = -0.1;

    private final Int4Matrix q;
    private final double[] w;
    private final float[] h;

    /// Scales from 0 of the value below each weight.
    private final float[] below;

    private final float[] variable;
    private final float[] mean;
    private final float[] square;

    LearnedRounding(Int4Matrix q, double[] w, float[] h) {
        this.q = q;
        this.w = w;
        this.h = h;
        below = new float[w.length];
        variable = new float[w.length];
        mean = new float[w.length];
        square = new float[w.length];
    }

    void run() {
        int n = q.columns();
        float[] scaled = normalized();
        Int4Rounding.rows(q, r -> {
            for (int i = r * n; i < (r + 1) * n; i++) {
                double steps = w[i] / scale(i);
                below[i] = (float) Math.floor(steps);
                double up = Math.clamp(steps - below[i], 0.01, 0.99);
                variable[i] = (float) -Math.log((ZETA - GAMMA) / (up - GAMMA) - 1);
            }
        });
        try (var _ = Scope.openWithoutGrad("learned rounding")) {
            Tensor ht = Tensor.of(Shape.of(n, n), scaled);
            Tensor d = Tensor.empty(Shape.of(q.rows(), n), DType.F32);
            Tensor gradient = Tensor.empty(d.shape(), DType.F32);
            for (int t = 1; t <= ITERATIONS; t++) {
                d.copyFrom(distances());
                gradient.kernels().matmul(gradient, d, false, ht, false, 0f, Epilogue.NONE);
                step(t, gradient.toFloats());
            }
        }
        Int4Rounding.rows(q, r -> {
            for (int i = r * n; i < (r + 1) * n; i++) {
                q.values()[i] = q.value(i / q.group(), below[i] + (variable[i] > 0 ? 1 : 0));
            }
        });
    }

    private float scale(int i) {
        return q.scales()[i / q.group()]; // groups divide rows
    }

    /// `h` by the mean of its diagonal: the rate then suits every weight.
    private float[] normalized() {
        int n = q.columns();
        double[] damped = Int4Rounding.damped(h, n);
        double diagonal = 0;
        for (int i = 0; i < n; i++) {
            diagonal += damped[i * n + i] / n;
        }
        float[] scaled = new float[n * n];
        for (int i = 0; i < scaled.length; i++) {
            scaled[i] = (float) (damped[i] / diagonal);
        }
        return scaled;
    }

    /// From the exact weights, in scales.
    private float[] distances() {
        float[] d = new float[w.length];
        int n = q.columns();
        Int4Rounding.rows(q, r -> {
            for (int i = r * n; i < (r + 1) * n; i++) {
                d[i] = (float) (rounded(i) - w[i] / scale(i));
            }
        });
        return d;
    }

    /// The value of an element, in scales, on its way between two.
    private double rounded(int i) {
        int g = i / q.group();
        int zero = q.zeros() == null ? 0 : q.zeros()[g];
        return Math.clamp(below[i] + up(variable[i]), Int4Matrix.LEAST - zero, (double) Int4Matrix.LARGEST - zero);
    }

    private static double up(double v) {
        return Math.clamp((ZETA - GAMMA) / (1 + Math.exp(-v)) + GAMMA, 0.0, 1.0);
    }

    private void step(int t, float[] ofDistance) {
        // 20 to 2, by a cosine, when the free iterations are over
        double phase = Math.max(0, t - FREE) / (double) (ITERATIONS - FREE);
        double beta = 2 + 9 * (1 + Math.cos(Math.PI * phase));
        double weight = t > FREE ? WEIGHT : 0;
        int n = q.columns();
        Int4Rounding.rows(q, r -> {
            for (int i = r * n; i < (r + 1) * n; i++) {
                double sigmoid = 1 / (1 + Math.exp(-variable[i]));
                double raw = (ZETA - GAMMA) * sigmoid + GAMMA;
                double slope = raw > 0 && raw < 1 ? (ZETA - GAMMA) * sigmoid * (1 - sigmoid) : 0;
                double centred = 2 * Math.clamp(raw, 0.0, 1.0) - 1;
                double regularizer = -2 * beta * Math.signum(centred) * Math.pow(Math.abs(centred), beta - 1);
                adam(i, t, (2 * ofDistance[i] + weight * regularizer) * slope);
            }
        });
    }

    private void adam(int i, int t, double gradient) {
        mean[i] = (float) (0.9 * mean[i] + 0.1 * gradient);
        square[i] = (float) (0.999 * square[i] + 0.001 * gradient * gradient);
        double first = mean[i] / (1 - Math.pow(0.9, t));
        double second = square[i] / (1 - Math.pow(0.999, t));
        variable[i] -= (float) (RATE * first / (Math.sqrt(second) + 1e-8));
    }
}
