package io.jacquard.ops;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// `x + y`; the gradient is handed on to both without a copy.
record Add(Tensor x, Tensor y) implements Node {
    static Tensor of(Tensor x, Tensor y) {
        Checks.same("add", x, y);
        Tensor out = Tensor.empty(x.shape(), x.dtype());
        x.kernels().add(out, x, y);
        return out.from(new Add(x, y));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x, y);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.pass(x, dy);
        into.pass(y, dy);
    }
}
