package io.jacquard.ops;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// Softmax over the last dimension.
record Softmax(Tensor x, Tensor y) implements Node {
    static Tensor of(Tensor x) {
        Checks.floating("softmax", x);
        Tensor y = Tensor.empty(x.shape(), x.dtype());
        x.kernels().softmax(y, x);
        return y.from(new Softmax(x, y));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.add(x, (dx, beta) -> dx.kernels().softmaxGrad(dx, dy, y, beta));
    }
}
