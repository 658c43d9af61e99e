package io.jacquard.ops;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Tensor;
import java.util.function.Consumer;

/// Gradients of operations whose backward can only overwrite.
final class Temporary {
    private Temporary() {}

    /// Lets `overwrite` write the gradient of `x` in `dtype`: where it belongs if that is of this dtype and holds
    /// nothing yet, else into a temporary tensor, which is added.
    static void gradient(Gradients into, Tensor x, DType dtype, Consumer<Tensor> overwrite) {
        into.add(x, (dx, beta) -> {
            if (beta == 0f && dx.dtype() == dtype) {
                overwrite.accept(dx);
                return;
            }
            try (var _ = Scope.openWithoutGrad("gradient to add")) {
                Tensor apart = Tensor.empty(dx.shape(), dtype);
                overwrite.accept(apart);
                dx.kernels().axpby(dx, 1f, apart, beta);
            }
        });
    }
}
