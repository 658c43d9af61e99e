package io.jacquard.ops;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import io.jacquard.tensor.spi.Scaled;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// `y[n, o] = x[n, i] · weight[o, i]ᵀ + bias[o]` with a weight of low precision that is never changed.
record FrozenLinear(Tensor x, Scaled weight, @Nullable Tensor bias) implements Node {
    static Tensor of(Tensor x, Scaled weight, @Nullable Tensor bias) {
        Checks.floating("frozenLinear", x);
        boolean isInteger = weight.type() == DType.I4 || weight.type() == DType.I8;
        if (!isInteger || weight.blocks().rows() != 1) {
            throw new IllegalArgumentException("frozenLinear: weight=" + weight.values() + " in " + weight.blocks()
                    + "; expected I4 or I8 in groups of a row");
        }
        if (x.shape().last() != weight.columns()) {
            throw new IllegalArgumentException("frozenLinear: inner dimensions differ: x=" + x.shape() + ", weight="
                    + weight.values().shape() + " transposed (" + x.shape().last() + " != " + weight.columns() + ")");
        }
        Tensor y = Tensor.empty(x.shape().withLast(weight.rows()), x.dtype());
        if (bias != null) {
            Checks.row("frozenLinear", y, bias);
        }
        x.kernels().matmulWeights(y, x, weight, true, 0f, Epilogue.bias(bias));
        return y.from(new FrozenLinear(x, weight, bias));
    }

    @Override
    public List<Tensor> inputs() {
        return bias == null ? List.of(x) : List.of(x, bias);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.add(x, (dx, beta) -> dx.kernels().matmulWeights(dx, dy, weight, false, beta, Epilogue.NONE), dy);
        if (bias != null) {
            into.add(bias, (db, beta) -> db.kernels().sumRows(db, dy, beta), dy);
        }
    }
}
