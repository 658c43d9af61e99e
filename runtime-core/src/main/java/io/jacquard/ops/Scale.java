package io.jacquard.ops;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// `factor * x` with a constant factor.
record Scale(Tensor x, float factor) implements Node {
    static Tensor of(Tensor x, float factor) {
        Checks.floating("scale", x);
        Tensor out = Tensor.empty(x.shape(), x.dtype());
        x.kernels().axpby(out, factor, x, 0f);
        return out.from(new Scale(x, factor));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.add(x, (dx, beta) -> dx.kernels().axpby(dx, factor, dy, beta));
    }
}
