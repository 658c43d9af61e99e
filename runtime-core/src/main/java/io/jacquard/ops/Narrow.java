package io.jacquard.ops;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// `length` indices from `start` on of dimension `dim`; a copy.
record Narrow(Tensor x, int dim, int start) implements Node {
    static Tensor of(Tensor x, int dim, int start, int length) {
        int size = x.shape().dim(dim);
        if (dim < 0 || start < 0 || length < 0 || start + length > size) {
            throw new IllegalArgumentException(
                    "narrow: " + length + " from " + start + " is not inside dimension " + dim + " of " + x.shape());
        }
        int[] dims = x.shape().toArray();
        dims[dim] = length;
        Tensor y = Tensor.empty(Shape.of(dims), x.dtype());
        long[] strides = Permute.strides(x.shape());
        y.kernels().copy(y, 0, Permute.strides(y.shape()), x, start * strides[dim], strides, dims, 0f);
        return y.from(new Narrow(x, dim, start));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.add(x, (dx, beta) -> {
            if (beta == 0f) {
                dx.kernels().fill(dx, 0f);
            }
            long[] strides = Permute.strides(dx.shape());
            dx.kernels()
                    .copy(
                            dx,
                            start * strides[dim],
                            strides,
                            dy,
                            0,
                            Permute.strides(dy.shape()),
                            dy.shape().toArray(),
                            1f);
        });
    }
}
