package io.jacquard.examples;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// `y = x * x`, element by element.
record Square(Tensor x) implements Node {
    static Tensor of(Tensor x) {
        if (!x.dtype().isFloating()) {
            throw new IllegalArgumentException("square: " + x + " is not of a floating dtype; cast it first");
        }
        Tensor y = Tensor.empty(x.shape(), x.dtype()); // in the current scope
        x.kernels().mul(y, x, x, 0f);
        return y.from(new Square(x)); // recorded only if x wants a gradient
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.add(x, (dx, beta) -> {
            dx.kernels().mul(dx, dy, x, beta); // overwrites (beta 0) or adds to what other readers of x wrote (beta 1)
            dx.kernels().mul(dx, dy, x, 1f); // d(x x) = 2 x dx
        });
    }
}
