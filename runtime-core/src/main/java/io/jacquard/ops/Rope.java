package io.jacquard.ops;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// Rotary position embedding (Su et al., arXiv:2104.09864), rotate-half form, of the first `heads` heads of each row.
/// Turns its input in place: the projection that made it does not need it any more.
record Rope(Tensor x, int heads, int headDim, float base, int first) implements Node {
    static Tensor of(Tensor x, int heads, int headDim, float base, int first) {
        Checks.floating("rope", x);
        Checks.rank("rope", x, 3);
        if (headDim % 2 != 0 || (long) heads * headDim > x.shape().last()) {
            throw new IllegalArgumentException(
                    "rope: " + heads + " heads of even dimension " + headDim + " do not fit rows of " + x.shape());
        }
        x.kernels().rope(x, x, heads, headDim, base, first, false);
        return x.from(new Rope(x, heads, headDim, base, first));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        Temporary.gradient(into, x, dy.dtype(), dx -> dx.kernels().rope(dx, dy, heads, headDim, base, first, true));
    }
}
