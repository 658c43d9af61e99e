package io.jacquard.optim;

/// @param beta1 decay of the first moment, in [0, 1)
/// @param beta2 decay of the second moment, in [0, 1)
/// @param epsilon added to the root of the second moment
/// @param weightDecay decoupled decay of matrices, per unit of learning rate
/// @param clip largest global gradient norm; 0 does not clip
public record AdamWSettings(float beta1, float beta2, float epsilon, float weightDecay, float clip) {
    public static final AdamWSettings DEFAULT = new AdamWSettings(0.9f, 0.95f, 1e-8f, 0.1f, 1f);

    /// Checks the ranges.
    public AdamWSettings {
        if (!(beta1 >= 0f && beta1 < 1f && beta2 >= 0f && beta2 < 1f)) {
            throw new IllegalArgumentException("adamw: betas must be in [0, 1), are " + beta1 + " and " + beta2);
        }
        if (!(epsilon >= 0f && weightDecay >= 0f && clip >= 0f)) {
            throw new IllegalArgumentException("adamw: epsilon, weightDecay and clip must not be negative, are "
                    + epsilon + ", " + weightDecay + " and " + clip);
        }
    }
}
