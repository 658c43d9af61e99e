package io.jacquard.ops;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// `y[n, o] = x[n, i] · weight[o, i]ᵀ + bias[o]`, then GELU where `preActivation` is kept for its gradient.
record Linear(
        Tensor x,
        Tensor weight,
        @Nullable Tensor bias,
        @Nullable Tensor preActivation) implements Node {
    static Tensor of(Tensor x, Tensor weight, @Nullable Tensor bias) {
        Tensor y = result(x, weight, bias);
        x.kernels().matmul(y, x, false, weight, true, 0f, Epilogue.bias(bias));
        return y.from(new Linear(x, weight, bias, null));
    }

    static Tensor gelu(Tensor x, Tensor weight, @Nullable Tensor bias) {
        Tensor y = result(x, weight, bias);
        if (!Tensor.records(inputs(x, weight, bias))) { // then nobody reads the argument of the GELU: no memory for it
            x.kernels().matmul(y, x, false, weight, true, 0f, Epilogue.bias(bias));
            y.kernels().gelu(y, y);
            return y;
        }
        Tensor pre = Tensor.empty(y.shape(), y.dtype());
        x.kernels().matmul(y, x, false, weight, true, 0f, Epilogue.gelu(bias, pre));
        return y.from(new Linear(x, weight, bias, pre));
    }

    static Tensor result(Tensor x, Tensor weight, @Nullable Tensor bias) {
        return result(x, weight, bias, null);
    }

    /// Checks the operands; memory for what `reader` reads of the result.
    static Tensor result(Tensor x, Tensor weight, @Nullable Tensor bias, @Nullable Reader reader) {
        Checks.sameDType("linear", x, weight);
        Checks.rank("linear", weight, 2);
        if (x.shape().last() != weight.shape().last()) {
            throw new IllegalArgumentException(
                    "linear: inner dimensions differ: x=" + x.shape() + ", weight=" + weight.shape() + " transposed ("
                            + x.shape().last() + " != " + weight.shape().last() + ")");
        }
        Shape shape = x.shape().withLast(weight.shape().dim(0));
        Tensor y = Reader.result(reader, shape, x.dtype(), inputs(x, weight, bias));
        if (bias != null) {
            Checks.row("linear", y, bias);
        }
        return y;
    }

    @Override
    public List<Tensor> inputs() {
        return inputs(x, weight, bias);
    }

    static List<Tensor> inputs(Tensor x, Tensor weight, @Nullable Tensor bias) {
        List<Tensor> list = new ArrayList<>(List.of(x, weight));
        if (bias != null) {
            list.add(bias);
        }
        return list;
    }

    @Override
    public List<Tensor> saved() {
        return preActivation == null ? List.of() : List.of(preActivation);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        if (preActivation == null) {
            linear(dy, into);
            return;
        }
        Tensor dPre = preActivation; // in place: nobody else reads it, and backward runs once
        dy.kernels().geluGrad(dPre, dy, preActivation, 0f);
        linear(dPre, into);
    }

    private void linear(Tensor dy, Gradients into) {
        into.add(x, (dx, beta) -> dx.kernels().matmul(dx, dy, false, weight, false, beta, Epilogue.NONE));
        into.add(weight, (dw, beta) -> dw.kernels().matmul(dw, dy, true, x, false, beta, Epilogue.NONE), dy, x);
        if (bias != null) {
            into.add(bias, (db, beta) -> db.kernels().sumRows(db, dy, beta), dy);
        }
    }
}
