package io.jacquard.ops;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// The sum of all elements, F32 `[1]`.
record Sum(Tensor x) implements Node {
    static Tensor of(Tensor x) {
        Checks.floating("sum", x);
        Tensor y = Tensor.empty(Shape.of(1), DType.F32);
        x.kernels().sum(y, x);
        return y.from(new Sum(x));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.add(x, (dx, beta) -> {
            try (var _ = Scope.openWithoutGrad("sum gradient")) {
                Tensor ones = Tensor.empty(dx.shape(), dx.dtype());
                ones.kernels().fill(ones, 1f);
                ones.kernels().scale(ones, ones, dy);
                dx.kernels().axpby(dx, 1f, ones, beta);
            }
        });
    }
}
