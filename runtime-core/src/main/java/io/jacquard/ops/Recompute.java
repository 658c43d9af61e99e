package io.jacquard.ops;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Tensor;
import java.util.List;
import java.util.function.UnaryOperator;

/// Activation checkpointing (Chen et al., arXiv:1604.06174): the forward pass of `block` keeps only its result;
/// backward runs it again. Dropout repeats its masks because they are functions of counters.
record Recompute(UnaryOperator<Tensor> block, Tensor x) implements Node {
    static Tensor of(UnaryOperator<Tensor> block, Tensor x) {
        Tensor y;
        try (Scope s = Scope.openWithoutGrad("recompute forward")) {
            y = s.keep(block.apply(x));
        }
        return y.fromAlways(new Recompute(block, x));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        Tensor dx;
        try (Scope s = Scope.open("recompute")) {
            Tensor leaf = x.detach().leaf();
            dx = Gradients.of(block.apply(leaf), dy, leaf).getFirst();
            if (dx == null || !x.needsGradient()) {
                return;
            }
            s.keep(dx);
        }
        into.pass(x, dx);
    }
}
