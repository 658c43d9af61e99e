package io.jacquard.ops;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// Inverted dropout whose mask is a function of (seed, step, micro-batch, site, element), so that recomputing,
/// replaying or resharding repeats it and nothing has to be stored.
record Dropout(Tensor x, float p, long seed, Tensor counters, int site, long first) implements Node {
    static Tensor of(Tensor x, float p, long seed, Tensor counters, int site, long first) {
        Checks.floating("dropout", x);
        Checks.dtype("dropout", "counters", counters, DType.I32);
        Checks.elements("dropout", "counters", counters, 2);
        if (!(p >= 0f && p < 1f)) {
            throw new IllegalArgumentException("dropout: the probability must be in [0, 1), is " + p);
        }
        Checks.notNegative("dropout", "the index of the first element", first);
        if (p == 0f) {
            return x;
        }
        Tensor y = Tensor.empty(x.shape(), x.dtype());
        x.kernels().dropout(y, x, p, seed, counters, site, first, 0f);
        return y.from(new Dropout(x, p, seed, counters, site, first));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.add(x, (dx, beta) -> dx.kernels().dropout(dx, dy, p, seed, counters, site, first, beta));
    }
}
