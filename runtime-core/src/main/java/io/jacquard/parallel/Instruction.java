package io.jacquard.parallel;

import java.util.Locale;

/// One entry of a rank's list in a [Schedule].
///
/// @param microBatch from 0
/// @param chunk which of the rank's parts of the model, from 0
public record Instruction(Kind kind, int microBatch, int chunk) {
    /// What is done.
    public enum Kind {
        /// From the activations of the stage before to those of the next, or to the loss.
        FORWARD,
        /// All gradients.
        BACKWARD,
        /// The gradients that the stage before waits for; those of the weights are left to [#BACKWARD_WEIGHT].
        BACKWARD_INPUT,
        /// The gradients of the weights, some time after [#BACKWARD_INPUT].
        BACKWARD_WEIGHT;

        /// Whether it needs the gradient of the next stage, and gives one to the stage before.
        boolean passesGradient() {
            return this == BACKWARD || this == BACKWARD_INPUT;
        }

        /// Whether nothing of the micro-batch has to be kept in the chunk afterwards.
        boolean ends() {
            return this == BACKWARD || this == BACKWARD_WEIGHT;
        }

        String words() {
            return name().toLowerCase(Locale.ROOT).replace('_', ' ');
        }
    }

    @Override
    public String toString() {
        return kind.words() + " of micro-batch " + microBatch + ", chunk " + chunk;
    }
}
