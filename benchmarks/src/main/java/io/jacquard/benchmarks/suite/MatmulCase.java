package io.jacquard.benchmarks.suite;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import io.jacquard.tensor.spi.Kernels;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// A linear layer `y[m, n] = x[m, k] weight[n, k]ᵀ`, or one of its two gradients.
final class MatmulCase implements KernelCase {
    private final Tensor out;
    private final Tensor a;
    private final boolean ta;
    private final Tensor b;
    private final boolean tb;
    private final @Nullable Tensor bias;
    private final @Nullable Tensor pre;

    MatmulCase(JsonNode spec, DType dtype, Operands operands) {
        int m = spec.get("m").asInt();
        int n = spec.get("n").asInt();
        int k = spec.get("k").asInt();
        Tensor x = operands.normal(1, dtype, m, k);
        Tensor w = operands.normal(1 / Math.sqrt(k), dtype, n, k);
        Tensor y = operands.normal(1, dtype, m, n);
        bias = spec.path("bias").asBoolean() ? operands.normal(1, dtype, n) : null;
        pre = spec.path("gelu").asBoolean() ? operands.normal(1, dtype, m, n) : null;
        switch (spec.get("form").asString()) {
            case "forward" -> {
                out = y;
                a = x;
                b = w;
                ta = false;
                tb = true;
            }
            case "input gradient" -> {
                out = x;
                a = y;
                b = w;
                ta = false;
                tb = false;
            }
            default -> {
                out = w;
                a = y;
                b = x;
                ta = true;
                tb = false;
            }
        }
    }

    @Override
    public List<Consumer<Kernels>> launches() {
        Epilogue epilogue = pre == null ? Epilogue.bias(bias) : Epilogue.gelu(bias, pre);
        return List.of(k -> k.matmul(out, a, ta, b, tb, 0f, epilogue));
    }

    @Override
    public Deviation deviation() {
        Deviation d = new Deviation();
        new Product(out, a, ta, b, tb, bias, pre).compare(d);
        return d;
    }
}
