package io.jacquard.ops;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// LayerNorm over the last dimension (Ba et al., arXiv:1607.06450), fused with the residual addition before it.
record LayerNorm(Tensor x, Tensor weight, Tensor bias, Tensor mean, Tensor rstd) implements Node {
    static Normed of(
            Tensor x, @Nullable Tensor residual, Tensor weight, Tensor bias, float epsilon, @Nullable Reader reader) {
        Checks.row("layerNorm", x, weight);
        Checks.row("layerNorm", x, bias);
        Tensor total = x;
        if (residual != null) {
            Checks.same("layerNorm", x, residual);
            total = Tensor.empty(x.shape(), x.dtype());
        }
        Tensor y = Reader.result(reader, x.shape(), x.dtype(), List.of(x, weight, bias));
        Shape rows = Shape.of(Math.toIntExact(x.shape().rows()));
        Tensor mean = Tensor.empty(rows, DType.F32);
        Tensor rstd = Tensor.empty(rows, DType.F32);
        Tensor stored = residual == null ? null : total;
        x.kernels().layerNorm(Reader.memory(y), stored, mean, rstd, x, residual, weight, bias, epsilon, y.casts());
        if (residual != null) {
            total = total.from(new Add(x, residual));
        }
        return new Normed(total, y.from(new LayerNorm(total, weight, bias, mean, rstd)));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x, weight, bias);
    }

    @Override
    public List<Tensor> saved() {
        return List.of(mean, rstd);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        try (var _ = Scope.openWithoutGrad("norm gradient")) {
            Gradients.Target dx = into.target(x);
            WeightTargets w = WeightTargets.of(into, weight, bias);
            dy.kernels()
                    .layerNormGrad(
                            dx == null ? null : dx.tensor(),
                            dx == null ? 0f : dx.beta(),
                            w.weight(),
                            w.bias(),
                            w.beta(),
                            dy,
                            x,
                            mean,
                            rstd,
                            weight);
        }
    }

    /// The two weight gradients that one kernel writes with one `beta`.
    record WeightTargets(@Nullable Tensor weight, @Nullable Tensor bias, float beta) {
        static WeightTargets of(Gradients into, Tensor weight, Tensor bias) {
            Gradients.Target dw = into.target(weight);
            Gradients.Target db = into.target(bias);
            if (dw == null && db == null) {
                return new WeightTargets(null, null, 0f);
            }
            if (dw != null && db != null && dw.beta() == db.beta()) {
                return new WeightTargets(dw.tensor(), db.tensor(), dw.beta());
            }
            Gradients.Target wanted = dw == null ? db : dw;
            return new WeightTargets(zeroed(dw, wanted), zeroed(db, wanted), 1f);
        }

        /// The target set to zero where it would be overwritten; where none is wanted, memory for the kernel to
        /// write, of the shape and dtype of the other one.
        private static Tensor zeroed(Gradients.@Nullable Target t, Gradients.@Nullable Target like) {
            if (t == null) {
                Tensor other = java.util.Objects.requireNonNull(like).tensor();
                return Tensor.zeros(other.shape(), other.dtype());
            }
            if (t.beta() == 0f) {
                t.tensor().kernels().fill(t.tensor(), 0f);
            }
            return t.tensor();
        }
    }
}
