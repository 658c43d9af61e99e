package io.jacquard.benchmarks.peers;

/// The functions of this name, and their derivatives.
enum Gelu {
    /// GPT-2's, and ours.
    TANH {
        @Override
        double of(double x) {
            return 0.5 * x * (1 + Math.tanh(inner(x)));
        }

        @Override
        double slope(double x) {
            double t = Math.tanh(inner(x));
            return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * SCALE * (1 + 3 * CUBIC * x * x);
        }
    },
    /// `x` times the normal distribution's share below it: the only one that some libraries have. Off by up to
    /// 5e-4.
    ERF {
        @Override
        double of(double x) {
            return x * share(x);
        }

        @Override
        double slope(double x) {
            return share(x) + x * Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
        }
    },
    /// `x sigmoid(1.702 x)`, which some libraries have in place of either. Off by up to 2e-2.
    SIGMOID {
        @Override
        double of(double x) {
            return x * sigmoid(x);
        }

        @Override
        double slope(double x) {
            double s = sigmoid(x);
            return s + 1.702 * x * s * (1 - s);
        }

        private static double sigmoid(double x) {
            return 1 / (1 + Math.exp(-1.702 * x));
        }
    };

    static final double SCALE = Math.sqrt(2 / Math.PI);
    static final double CUBIC = 0.044715;

    abstract double of(double x);

    abstract double slope(double x);

    private static double inner(double x) {
        return SCALE * (x + CUBIC * x * x * x);
    }

    /// By the series of the distribution around 0, which ends soon for what normal numbers are.
    private static double share(double x) {
        if (Math.abs(x) > 8) {
            return x > 0 ? 1 : 0;
        }
        double term = x;
        double sum = x;
        for (int k = 3; Math.abs(term) > 1e-17; k += 2) {
            term *= x * x / k;
            sum += term;
        }
        return 0.5 + sum * Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
    }
}
