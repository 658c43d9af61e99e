package io.jacquard.ops;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.Arrays;
import java.util.List;

/// Reorders dimensions: dimension i of the result is dimension `order[i]` of `x`. A copy, since tensors are contiguous.
record Permute(Tensor x, List<Integer> order) implements Node {
    static Tensor of(Tensor x, int... order) {
        int rank = x.shape().rank();
        boolean[] seen = new boolean[rank];
        boolean valid = order.length == rank;
        for (int d : order) {
            valid = valid && d >= 0 && d < rank && !seen[d];
            if (valid) {
                seen[d] = true;
            }
        }
        if (!valid) {
            throw new IllegalArgumentException(
                    "permute: " + Arrays.toString(order) + " is not an order of the dimensions of " + x.shape());
        }
        int[] dims = new int[rank];
        for (int i = 0; i < rank; i++) {
            dims[i] = x.shape().dim(order[i]);
        }
        Tensor y = Tensor.empty(Shape.of(dims), x.dtype());
        List<Integer> list = Arrays.stream(order).boxed().toList();
        y.kernels().copy(y, 0, strides(y.shape()), x, 0, reordered(x.shape(), list), dims, 0f);
        return y.from(new Permute(x, list));
    }

    static long[] strides(Shape s) {
        long[] strides = new long[s.rank()];
        long n = 1;
        for (int i = s.rank() - 1; i >= 0; i--) {
            strides[i] = n;
            n *= s.dim(i);
        }
        return strides;
    }

    private static long[] reordered(Shape x, List<Integer> order) {
        long[] own = strides(x);
        return order.stream().mapToLong(d -> own[d]).toArray();
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.add(
                x,
                (dx, beta) -> dx.kernels()
                        .copy(
                                dx,
                                0,
                                reordered(dx.shape(), order),
                                dy,
                                0,
                                strides(dy.shape()),
                                dy.shape().toArray(),
                                beta));
    }
}
