package io.jacquard.optim;

/// The learning rate as a function of the step, counted from 0. Every schedule but the constant one warms up linearly:
/// step s of a warmup of w steps has `peak * (s + 1) / w`.
public sealed interface Schedule {
    /// The rate of step `step`.
    float at(long step);

    /// `rate` at every step.
    static Schedule constant(float rate) {
        return new Constant(rate);
    }

    /// Half a cosine from `peak` after the warmup to `floor` at step `total` and after.
    ///
    /// @throws IllegalArgumentException unless `0 <= floor <= peak` and `0 <= warmup <= total`
    static Schedule cosine(float peak, long warmup, long total, float floor) {
        return new Cosine(peak, warmup, total, floor);
    }

    /// A straight line from `peak` after the warmup to `floor` at step `total` and after; errors as for [#cosine].
    static Schedule linear(float peak, long warmup, long total, float floor) {
        return new WarmupStableDecay(peak, warmup, total, Math.max(1, total - warmup), floor);
    }

    /// `peak` after the warmup, and a straight line to `floor` over the last `decaySteps` of `total`
    /// (Hu et al., arXiv:2404.06395); errors as for [#cosine], and if the decay does not fit behind the warmup.
    static Schedule warmupStableDecay(float peak, long warmup, long total, long decaySteps, float floor) {
        return new WarmupStableDecay(peak, warmup, total, decaySteps, floor);
    }

    /// See [#constant].
    record Constant(float rate) implements Schedule {
        @Override
        public float at(long step) {
            return rate;
        }
    }

    /// See [#cosine].
    record Cosine(float peak, long warmup, long total, float floor) implements Schedule {
        /// Checks the ranges.
        public Cosine {
            check(peak, warmup, total, floor);
        }

        @Override
        public float at(long step) {
            if (step < warmup) {
                return (float) ((double) peak * (step + 1) / warmup);
            }
            double done = Math.min(1.0, (double) (step - warmup) / Math.max(1, total - warmup));
            return (float) (floor + 0.5 * ((double) peak - floor) * (1.0 + Math.cos(Math.PI * done)));
        }
    }

    /// See [#warmupStableDecay]; [#linear] is one whose decay begins right after the warmup.
    record WarmupStableDecay(float peak, long warmup, long total, long decaySteps, float floor) implements Schedule {
        /// Checks the ranges.
        public WarmupStableDecay {
            check(peak, warmup, total, floor);
            if (decaySteps < 1 || decaySteps > Math.max(1, total - warmup)) {
                throw new IllegalArgumentException("schedule: " + decaySteps + " decay steps do not fit " + total
                        + " steps with " + warmup + " of warmup");
            }
        }

        @Override
        public float at(long step) {
            if (step < warmup) {
                return (float) ((double) peak * (step + 1) / warmup);
            }
            double left = Math.clamp((double) (total - step) / decaySteps, 0.0, 1.0);
            return (float) (floor + ((double) peak - floor) * left);
        }
    }

    private static void check(float peak, long warmup, long total, float floor) {
        if (warmup < 0 || total < warmup || !(peak >= floor) || !(floor >= 0f)) {
            throw new IllegalArgumentException(
                    "schedule: expected 0 <= floor <= peak and 0 <= warmup <= total, got floor " + floor + ", peak "
                            + peak + ", warmup " + warmup + ", total " + total);
        }
    }
}
