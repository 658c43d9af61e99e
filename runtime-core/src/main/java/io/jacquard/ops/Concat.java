package io.jacquard.ops;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// Tensors one after another along dimension `dim`.
record Concat(List<Tensor> parts, int dim) implements Node {
    static Tensor of(int dim, List<Tensor> parts) {
        if (parts.isEmpty()) {
            throw new IllegalArgumentException("concat: no tensors given");
        }
        Shape first = parts.getFirst().shape();
        if (dim < 0) {
            throw new IllegalArgumentException("concat: no dimension " + dim + " in " + first);
        }
        int[] dims = first.toArray();
        int total = 0;
        for (Tensor p : parts) {
            Checks.sameDType("concat", parts.getFirst(), p);
            dims[dim] = p.shape().rank() == first.rank() ? p.shape().dim(dim) : -1;
            if (dims[dim] < 0 || !p.shape().equals(Shape.of(dims))) {
                throw new IllegalArgumentException(
                        "concat: " + first + " and " + p.shape() + " differ outside dimension " + dim);
            }
            total += dims[dim];
        }
        dims[dim] = total;
        Tensor y = Tensor.empty(Shape.of(dims), parts.getFirst().dtype());
        long[] strides = Permute.strides(y.shape());
        long offset = 0;
        for (Tensor p : parts) {
            y.kernels()
                    .copy(
                            y,
                            offset,
                            strides,
                            p,
                            0,
                            Permute.strides(p.shape()),
                            p.shape().toArray(),
                            0f);
            offset += p.shape().dim(dim) * strides[dim];
        }
        return y.from(new Concat(List.copyOf(parts), dim));
    }

    @Override
    public List<Tensor> inputs() {
        return parts;
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        long[] strides = Permute.strides(dy.shape());
        long offset = 0;
        for (Tensor p : parts) {
            long from = offset;
            into.add(
                    p,
                    (d, beta) -> d.kernels()
                            .copy(
                                    d,
                                    0,
                                    Permute.strides(d.shape()),
                                    dy,
                                    from,
                                    strides,
                                    d.shape().toArray(),
                                    beta));
            offset += p.shape().dim(dim) * strides[dim];
        }
    }
}
