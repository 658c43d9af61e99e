package io.jacquard.ops;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// `x * y`, element by element.
record Mul(Tensor x, Tensor y) implements Node {
    static Tensor of(Tensor x, Tensor y) {
        Checks.same("mul", x, y);
        Tensor out = Tensor.empty(x.shape(), x.dtype());
        x.kernels().mul(out, x, y, 0f);
        return out.from(new Mul(x, y));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x, y);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.add(x, (dx, beta) -> dx.kernels().mul(dx, dy, y, beta));
        into.add(y, (d, beta) -> d.kernels().mul(d, dy, x, beta));
    }
}
