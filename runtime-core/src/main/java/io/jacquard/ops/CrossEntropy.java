package io.jacquard.ops;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// `scale * sum of the softmax cross entropies` of each row of logits. The gradient overwrites the logits in the
/// forward pass: there is never a second tensor of that size.
record CrossEntropy(Tensor logits) implements Node {
    static Tensor of(Tensor logits, Tensor labels, Tensor scale) {
        Checks.dtype("crossEntropy", "scale", scale, DType.F32);
        Checks.elements("crossEntropy", "scale", scale, 1);
        Tensor losses = check(logits, labels);
        logits.kernels().crossEntropy(losses, logits, labels, logits.needsGradient() ? scale : null);
        Tensor loss = Tensor.empty(Shape.of(1), DType.F32);
        loss.kernels().sum(loss, losses);
        loss.kernels().scale(loss, loss, scale);
        return loss.from(new CrossEntropy(logits));
    }

    /// The loss of each row, F32 `[n]`; 0 where the label is negative. No gradient.
    static Tensor losses(Tensor logits, Tensor labels) {
        Tensor losses = check(logits, labels);
        logits.kernels().crossEntropy(losses, logits, labels, null);
        return losses;
    }

    private static Tensor check(Tensor logits, Tensor labels) {
        Checks.floating("crossEntropy", logits);
        Checks.dtype("crossEntropy", "labels", labels, DType.I32);
        Checks.elements("crossEntropy", "labels", labels, logits.shape().rows());
        return Tensor.empty(Shape.of(Math.toIntExact(logits.shape().rows())), DType.F32);
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(logits);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        Tensor dLogits = logits.detach();
        dLogits.kernels().scale(dLogits, dLogits, dy);
        into.pass(logits, dLogits);
    }
}
