package io.jacquard.benchmarks.suite;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import io.jacquard.tensor.spi.Kernels;
import io.jacquard.tensor.spi.Scaled;
import io.jacquard.tensor.spi.Scaled.Blocks;
import java.util.List;
import java.util.function.Consumer;
import tools.jackson.databind.JsonNode;

/// A linear layer `y[m, n] = x[m, k] weight[n, k]ᵀ` whose weight is frozen in 4 bits, in groups of a row.
final class FrozenCase implements KernelCase {
    private final Tensor out;
    private final Tensor x;
    private final Scaled weight;

    FrozenCase(JsonNode spec, DType dtype, Operands operands) {
        int m = spec.get("m").asInt();
        int n = spec.get("n").asInt();
        int k = spec.get("k").asInt();
        x = operands.normal(1, dtype, m, k);
        out = operands.normal(1, dtype, m, n);
        weight = Scaled.empty(n, k, DType.I4, Blocks.groups(spec.get("group").asInt()));
        try (Scope _ = Scope.openWithoutGrad("weights to be rounded")) {
            Tensor w = operands.normal(1 / Math.sqrt(k), dtype, n, k);
            w.kernels().quantize(weight, null, w);
        }
    }

    @Override
    public List<Consumer<Kernels>> launches() {
        return List.of(k -> k.matmulWeights(out, x, weight, true, 0f, Epilogue.NONE));
    }

    /// From the weights as they were rounded.
    @Override
    public Deviation deviation() {
        Deviation d = new Deviation();
        try (Scope _ = Scope.openWithoutGrad("weights widened")) {
            Tensor w = Tensor.empty(weight.values().shape(), x.dtype());
            w.kernels().dequantize(w, weight);
            new Product(out, x, false, w, true).compare(d);
        }
        return d;
    }
}
