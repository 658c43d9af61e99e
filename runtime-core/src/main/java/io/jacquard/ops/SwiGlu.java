package io.jacquard.ops;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// SwiGLU (Shazeer, arXiv:2002.05202): `x[n, 2f]` holds gate and up, `y[n, f] = silu(gate) * up`.
record SwiGlu(Tensor x) implements Node {
    static Tensor of(Tensor x, @Nullable Reader reader) {
        Checks.floating("swiGlu", x);
        if (x.shape().rank() == 0 || x.shape().last() % 2 != 0) {
            throw new IllegalArgumentException(
                    "swiGlu: the last dimension holds gate and up and must be even: " + x.shape());
        }
        Tensor y = Reader.result(reader, x.shape().withLast(x.shape().last() / 2), x.dtype(), List.of(x));
        x.kernels().swiGlu(Reader.memory(y), x, y.casts());
        return y.from(new SwiGlu(x));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.add(x, (dx, beta) -> dx.kernels().swiGluGrad(dx, dy, x, beta));
    }
}
