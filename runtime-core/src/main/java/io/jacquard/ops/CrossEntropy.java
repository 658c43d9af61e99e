package io.jacquard.ops;

import io.jacquard.group.Group;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// `scale * sum of the softmax cross entropies` of each row of logits. The gradient overwrites the logits in the
/// forward pass: there is never a second tensor of that size. The columns of the logits may be divided among ranks.
record CrossEntropy(Tensor logits) implements Node {
    static Tensor of(Tensor logits, Tensor labels, Tensor scale, int firstLabel, Group group) {
        Checks.dtype("crossEntropy", "scale", scale, DType.F32);
        Checks.elements("crossEntropy", "scale", scale, 1);
        Tensor losses = losses(logits, labels, firstLabel, group, logits.needsGradient() ? scale : null);
        Tensor loss = Tensor.empty(Shape.of(1), DType.F32);
        loss.kernels().sum(loss, losses);
        loss.kernels().scale(loss, loss, scale);
        return loss.from(new CrossEntropy(logits));
    }

    /// The loss of each row, F32 `[n]`; 0 where the label is negative. Without `scale` the logits stay.
    static Tensor losses(Tensor logits, Tensor labels, int firstLabel, Group group, @Nullable Tensor scale) {
        check(logits, labels, firstLabel, group);
        int rows = Math.toIntExact(logits.shape().rows());
        Tensor losses = Tensor.empty(Shape.of(rows), DType.F32);
        if (group.size() == 1) { // knows the whole row when it writes the gradient: the logits are read once, not twice
            logits.kernels().crossEntropy(losses, logits, labels, scale);
            return losses;
        }
        try (var _ = Scope.openWithoutGrad("cross entropy of ranks")) {
            Tensor all = Tensor.empty(Shape.of(group.size(), 3, rows), DType.F32);
            Tensor own = all.rows(group.rank(), group.rank() + 1);
            logits.kernels().crossEntropyStats(own.reshape(Shape.of(3, rows)), logits, labels, firstLabel);
            group.allGather(all, own).join();
            logits.kernels().crossEntropyShard(losses, logits, labels, firstLabel, all, scale);
        }
        return losses;
    }

    private static void check(Tensor logits, Tensor labels, int firstLabel, Group group) {
        Checks.floating("crossEntropy", logits);
        Checks.dtype("crossEntropy", "labels", labels, DType.I32);
        Checks.elements("crossEntropy", "labels", labels, logits.shape().rows());
        Checks.notNegative("crossEntropy", "the first label", firstLabel);
        if (group.size() == 1 && firstLabel != 0) {
            throw new IllegalArgumentException("crossEntropy: a group of one has all labels, from 0 on; the first of "
                    + logits + " is " + firstLabel);
        }
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
