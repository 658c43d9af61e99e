package io.jacquard.ops;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// RMSNorm over the last dimension (Zhang and Sennrich, arXiv:1910.07467), fused with the residual addition before it.
record RmsNorm(Tensor x, Tensor weight, Tensor rstd) implements Node {
    static Normed of(Tensor x, @Nullable Tensor residual, Tensor weight, float epsilon, @Nullable Reader reader) {
        Checks.row("rmsNorm", x, weight);
        Tensor total = x;
        if (residual != null) {
            Checks.same("rmsNorm", x, residual);
            total = Tensor.empty(x.shape(), x.dtype());
        }
        Tensor y = Reader.result(reader, x.shape(), x.dtype(), List.of(x, weight));
        Tensor rstd = Tensor.empty(Shape.of(Math.toIntExact(x.shape().rows())), DType.F32);
        Tensor stored = residual == null ? null : total;
        x.kernels().rmsNorm(Reader.memory(y), stored, rstd, x, residual, weight, epsilon, y.casts());
        if (residual != null) {
            total = total.from(new Add(x, residual));
        }
        return new Normed(total, y.from(new RmsNorm(total, weight, rstd)));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x, weight);
    }

    @Override
    public List<Tensor> saved() {
        return List.of(rstd);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        Gradients.Target dx = into.target(x);
        Gradients.Target dw = into.target(weight);
        dy.kernels()
                .rmsNormGrad(
                        dx == null ? null : dx.tensor(),
                        dx == null ? 0f : dx.beta(),
                        dw == null ? null : dw.tensor(),
                        dw == null ? 0f : dw.beta(),
                        dy,
                        x,
                        rstd,
                        weight);
    }
}
