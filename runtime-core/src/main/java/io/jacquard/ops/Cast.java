package io.jacquard.ops;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// The same values in another dtype.
record Cast(Tensor x) implements Node {
    static Tensor of(Tensor x, DType to) {
        if (x.dtype() == to) {
            return x;
        }
        Tensor y = Tensor.empty(x.shape(), to);
        x.kernels().cast(y, x);
        return y.from(new Cast(x));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.add(x, (dx, beta) -> {
            if (beta == 0f) {
                dx.kernels().cast(dx, dy);
                return;
            }
            try (var _ = Scope.openWithoutGrad("cast gradient")) {
                Tensor same = Tensor.empty(dx.shape(), dx.dtype());
                dx.kernels().cast(same, dy);
                dx.kernels().axpby(dx, 1f, same, 1f);
            }
        });
    }
}
