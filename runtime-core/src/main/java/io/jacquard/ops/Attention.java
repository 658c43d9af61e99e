package io.jacquard.ops;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// Causal scaled-dot-product attention with grouped queries; forward and backward never store `[T, T]`
/// (Dao, arXiv:2307.08691).
record Attention(Tensor qkv, Tensor out, Tensor lse, int heads, int kvHeads) implements Node {
    static Tensor of(Tensor qkv, int heads, int kvHeads) {
        Checks.floating("attention", qkv);
        Shape s = Checks.rank("attention", qkv, 3);
        Checks.positive("attention", "heads", heads);
        Checks.positive("attention", "key/value heads", kvHeads);
        if (heads % kvHeads != 0 || s.last() % (heads + 2 * kvHeads) != 0) {
            throw new IllegalArgumentException("attention: rows of " + s + " are not " + heads + " query and 2 * "
                    + kvHeads + " key/value heads of one size, with the query heads a multiple of the others");
        }
        int headDim = s.last() / (heads + 2 * kvHeads);
        Tensor out = Tensor.empty(s.withLast(heads * headDim), qkv.dtype());
        Tensor lse = Tensor.empty(Shape.of(s.dim(0), heads, s.dim(1)), DType.F32);
        qkv.kernels().attention(out, lse, qkv, heads, kvHeads);
        return out.from(new Attention(qkv, out, lse, heads, kvHeads));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(qkv);
    }

    @Override
    public List<Tensor> saved() {
        return List.of(lse);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.add(qkv, (d, beta) -> {
            if (beta == 0f) {
                d.kernels().attentionGrad(d, dy, qkv, out, lse, heads, kvHeads);
                return;
            }
            try (var _ = Scope.openWithoutGrad("attention gradient")) {
                Tensor own = Tensor.empty(d.shape(), d.dtype());
                d.kernels().attentionGrad(own, dy, qkv, out, lse, heads, kvHeads);
                d.kernels().axpby(d, 1f, own, 1f);
            }
        });
    }
}
