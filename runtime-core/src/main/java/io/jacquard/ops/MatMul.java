package io.jacquard.ops;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import java.util.List;

/// `y[n, m] = a[n, k] · b[k, m]`; leading dimensions of `a` are rows.
record MatMul(Tensor a, Tensor b) implements Node {
    static Tensor of(Tensor a, Tensor b) {
        Checks.sameDType("matmul", a, b);
        Checks.rank("matmul", b, 2);
        if (a.shape().last() != b.shape().dim(0)) {
            throw new IllegalArgumentException("matmul: inner dimensions differ: a=" + a.shape() + ", b=" + b.shape()
                    + " (" + a.shape().last() + " != " + b.shape().dim(0) + ")");
        }
        Tensor y = Tensor.empty(a.shape().withLast(b.shape().dim(1)), a.dtype());
        a.kernels().matmul(y, a, false, b, false, 0f, Epilogue.NONE);
        return y.from(new MatMul(a, b));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(a, b);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.add(a, (da, beta) -> da.kernels().matmul(da, dy, false, b, true, beta, Epilogue.NONE));
        into.add(b, (db, beta) -> db.kernels().matmul(db, a, true, dy, false, beta, Epilogue.NONE), a, dy);
    }
}
