package io.jacquard.ops;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// GELU in its tanh form, as GPT-2 uses it (`gelu_new`).
record Gelu(Tensor x) implements Node {
    static Tensor of(Tensor x) {
        Checks.floating("gelu", x);
        Tensor y = Tensor.empty(x.shape(), x.dtype());
        x.kernels().gelu(y, x);
        return y.from(new Gelu(x));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.add(x, (dx, beta) -> dx.kernels().geluGrad(dx, dy, x, beta));
    }
}
