package io.jacquard.ops;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Scope;
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
        Tensor pre = Tensor.empty(y.shape(), y.dtype());
        x.kernels().matmul(y, x, false, weight, true, 0f, Epilogue.gelu(bias, pre));
        return y.from(new Linear(x, weight, bias, pre));
    }

    private static Tensor result(Tensor x, Tensor weight, @Nullable Tensor bias) {
        Checks.sameDType("linear", x, weight);
        Checks.rank("linear", weight, 2);
        if (x.shape().last() != weight.shape().last()) {
            throw new IllegalArgumentException(
                    "linear: inner dimensions differ: x=" + x.shape() + ", weight=" + weight.shape() + " transposed ("
                            + x.shape().last() + " != " + weight.shape().last() + ")");
        }
        Tensor y = Tensor.empty(x.shape().withLast(weight.shape().dim(0)), x.dtype());
        if (bias != null) {
            Checks.row("linear", y, bias);
        }
        return y;
    }

    @Override
    public List<Tensor> inputs() {
        List<Tensor> list = new ArrayList<>(List.of(x, weight));
        if (bias != null) {
            list.add(bias);
        }
        return list;
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        if (preActivation == null) {
            linear(dy, into);
            return;
        }
        try (var _ = Scope.openWithoutGrad("gelu gradient")) {
            Tensor dPre = Tensor.empty(dy.shape(), dy.dtype());
            dy.kernels().geluGrad(dPre, dy, preActivation, 0f);
            linear(dPre, into);
        }
    }

    private void linear(Tensor dy, Gradients into) {
        into.add(x, (dx, beta) -> dx.kernels().matmul(dx, dy, false, weight, false, beta, Epilogue.NONE));
        into.add(weight, (dw, beta) -> dw.kernels().matmul(dw, dy, true, x, false, beta, Epilogue.NONE));
        if (bias != null) {
            into.add(bias, (db, beta) -> db.kernels().sumRows(db, dy, beta));
        }
    }
}
