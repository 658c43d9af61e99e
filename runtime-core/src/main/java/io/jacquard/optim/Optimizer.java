package io.jacquard.optim;

import io.jacquard.nn.Weights;
import io.jacquard.tensor.Tensor;
import java.util.SequencedMap;

/// Updates the weights from their gradients.
public sealed interface Optimizer permits AdamW, Sgd {
    /// One step over all weights; afterwards the next backward starts gradients anew. Waits for nothing. All ranks
    /// of the optimizer's group must call it.
    ///
    /// **Memory**: allocates nothing.
    ///
    /// @param learningRate F32 `[1]` on the device
    void step(Tensor learningRate);

    /// F32 `[2]`: {l2 norm of the gradients before clipping, 1 if all were finite else 0} of the last step. A step
    /// that was not finite changed nothing. Zeros before the first step.
    Tensor norm();

    /// The tensors that make up the optimizer's state, by name, for saving and loading. One of more than one
    /// element is this rank's slice of a flat tensor laid out like [Weights#values].
    SequencedMap<String, Tensor> state();
}
