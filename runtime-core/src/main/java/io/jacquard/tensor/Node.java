package io.jacquard.tensor;

import java.util.List;

/// How a tensor came to be, and the way back. Implemented by records whose components are what backward needs.
public interface Node {
    /// The tensors whose gradients this node can write.
    List<Tensor> inputs();

    /// What the operation has saved beside its result and its inputs, for [#backward] alone: freed after it.
    default List<Tensor> saved() {
        return List.of();
    }

    /// Given the gradient `dy` of the result, writes the gradients of the inputs through `into`. `dy` is read only,
    /// but where [Gradients#mayOverwrite] says otherwise, and may be handed on with [Gradients#pass].
    void backward(Tensor dy, Gradients into);
}
