package io.jacquard.parallel;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// A part of a model between two others: one chunk of one rank of a [Pipeline].
public interface Stage {
    /// The shape of what the stage before returns on the rank before: `[B, T, C]`, or what this rank has of it.
    /// Not asked of the first stage.
    Shape inputShape();

    /// The dtype of that. Not asked of the first stage.
    DType inputDType();

    /// From the activations of the stage before to those for the next, or to the loss, F32 `[1]`, in the last
    /// stage.
    ///
    /// **Memory**: the current scope is the micro-batch's own, and closes after its backward.
    ///
    /// @param x a leaf of [#inputShape]; null in the first stage
    Tensor forward(@Nullable Tensor x, int microBatch);

    /// Called when all gradients of `microBatch` have been added to this stage's weights: after its last call,
    /// their sums over other ranks can begin.
    default void backwardDone(int microBatch) {}
}
