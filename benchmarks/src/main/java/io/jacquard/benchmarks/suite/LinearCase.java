package io.jacquard.benchmarks.suite;

import io.jacquard.ops.DelayedScales;
import io.jacquard.ops.Ops;
import io.jacquard.ops.Recipe;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Kernels;
import io.jacquard.tensor.spi.Work;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// A linear layer forward and both its gradients in one [Recipe], with everything that the recipe rounds: the product's
/// own operation, as a training step runs it.
final class LinearCase implements KernelCase {
    private final Recipe recipe;
    private final Tensor x;
    private final Tensor weight;
    private final Tensor dy;
    private final Tensor dx;
    private final Tensor dWeight;
    private final @Nullable DelayedScales scales;
    private final DelayedScales.@Nullable Layer layer;

    LinearCase(JsonNode spec, DType dtype, Operands operands) {
        int m = spec.get("m").asInt();
        int n = spec.get("n").asInt();
        int k = spec.get("k").asInt();
        recipe = recipe(spec.get("recipe").asString());
        x = operands.normal(1, dtype, m, k);
        weight = operands.normal(1 / Math.sqrt(k), dtype, n, k);
        dy = operands.normal(1, dtype, m, n);
        dx = operands.normal(1, dtype, m, k);
        dWeight = operands.normal(1, dtype, n, k);
        scales = recipe.isDelayed() ? new DelayedScales() : null;
        layer = scales == null ? null : scales.layer("linear");
        if (scales != null) {
            scales.allocate();
        }
    }

    private static Recipe recipe(String label) {
        return Arrays.stream(Recipe.values())
                .filter(r -> r.label().equals(label))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("linear row of unknown recipe: " + label));
    }

    /// Of new leaves, whose gradients are overwritten.
    private Tensor forward() {
        Tensor input = x.leaf(dx, "x");
        Tensor w = weight.leaf(dWeight, "weight");
        return recipe.isLow() ? Ops.linear(input, w, null, false, recipe, layer) : Ops.linear(input, w, null);
    }

    @Override
    public List<Consumer<Kernels>> launches() {
        return List.of(_ -> run());
    }

    private void run() {
        try (Scope _ = Scope.open("linear layer")) {
            Gradients.of(forward(), dy);
        }
        if (scales != null) {
            scales.step();
        }
    }

    /// Operands once, in their own type: what the recipe rounds and moves beside them is its price.
    @Override
    public Work work(Consumer<Kernels> launch) {
        long bytes = 2 * (x.bytes() + weight.bytes() + dy.bytes());
        return new Work(bytes, 6 * x.size() * Operands.columns(dy), x.dtype());
    }

    @Override
    public Deviation deviation() {
        Deviation d = new Deviation();
        try (Scope _ = Scope.open("linear layer again")) {
            new Product(forward(), x, false, weight, true).compare(d);
        }
        new Product(dx, dy, false, weight, false).compare(d.next());
        new Product(dWeight, dy, true, x, false).compare(d.next());
        return d;
    }
}
