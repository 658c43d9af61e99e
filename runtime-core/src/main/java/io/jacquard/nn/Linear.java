package io.jacquard.nn;

import io.jacquard.ops.DelayedScales;
import io.jacquard.ops.LinearWatch;
import io.jacquard.ops.Ops;
import io.jacquard.ops.Reader;
import io.jacquard.ops.Recipe;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// `y = x · weightᵀ + bias`, weight `[out, in]`, declared as `weight` and `bias`. Among tensor ranks it is divided by
/// columns of `y`, or by columns of `x`: then the ranks' results are parts of a sum. In a block it multiplies in the
/// model's [Precision].
public final class Linear {
    private final Parameter weight;
    private final @Nullable Parameter bias;
    private final Recipe recipe;
    private final DelayedScales.@Nullable Layer delayed;

    /// @param w where the weight was declared
    private Linear(Weights w, Parameter weight, @Nullable Parameter bias) {
        this.weight = weight;
        this.bias = bias;
        recipe = w.recipe();
        delayed = w.delayedLayer();
    }

    /// Declares both below the path of `w`: normal weights of this standard deviation, a bias of zeros.
    public static Linear withBias(Weights w, int in, int out, double deviation) {
        return new Linear(
                w,
                w.declare("weight", Shape.of(out, in), Init.normal(deviation)),
                w.declare("bias", Shape.of(out), Init.ZEROS));
    }

    /// Declares the weight alone below the path of `w`: normal numbers of this standard deviation.
    public static Linear withoutBias(Weights w, int in, int out, double deviation) {
        return new Linear(w, w.declare("weight", Shape.of(out, in), Init.normal(deviation)), null);
    }

    /// Divides the outputs, which are these units. Normal weights of this standard deviation, a bias of zeros.
    static Linear columns(
            Weights w,
            Partition part,
            String what,
            int in,
            double deviation,
            boolean withBias,
            Partition.Units... outputs) {
        int out = size(outputs);
        int mine = part.tensor().rank();
        List<Slice> slices = part.divide(what, 0, outputs);
        return new Linear(
                w,
                w.declare("weight", Shape.of(out, in), slices, mine, Init.normal(deviation)),
                withBias ? w.declare("bias", Shape.of(out), slices, mine, Init.ZEROS) : null);
    }

    /// Divides the inputs, which are these units. The bias is of `copies`, held by all ranks; the first one adds
    /// it, in the epilogue of its product.
    static Linear rows(
            Weights w,
            @Nullable Weights copies,
            Partition part,
            String what,
            int out,
            double deviation,
            Partition.Units inputs) {
        int mine = part.tensor().rank();
        Parameter weight = w.declare(
                "weight", Shape.of(out, size(inputs)), part.divide(what, 1, inputs), mine, Init.normal(deviation));
        Parameter bias = copies == null ? null : copies.declare("bias", Shape.of(out), Init.ZEROS);
        return new Linear(w, weight, mine == 0 ? bias : null);
    }

    private static int size(Partition.Units... all) {
        int size = 0;
        for (Partition.Units u : all) {
            size += u.count() * u.size();
        }
        return size;
    }

    /// `[..., in]` to `[..., out]`.
    public Tensor apply(Tensor x) {
        return run(x, false, null);
    }

    /// [#apply], then GELU.
    public Tensor gelu(Tensor x) {
        return run(x, true, null);
    }

    /// For the operation that makes what this layer alone reads; null where it can do nothing for the layer.
    @Nullable
    Reader reader() {
        return recipe.isScaled() ? new Reader(recipe, delayed, weight.value()) : null;
    }

    /// [#apply] of what nobody else reads, in backward either: `x` is freed when the product is there, unless this
    /// layer's own backward reads it.
    Tensor consume(Tensor x) {
        return freed(x, apply(x));
    }

    /// As [#consume], then GELU, for the layer that alone reads the result.
    Tensor consumeGelu(Tensor x, Linear next) {
        return freed(x, run(x, true, next.reader()));
    }

    private Tensor freed(Tensor x, Tensor y) {
        if (!recipe.keepsInput()) {
            Scope.current().free(x, "was freed by the linear layer that had it to itself: recipe " + recipe.label());
        }
        return y;
    }

    private Tensor run(Tensor x, boolean gelu, @Nullable Reader reader) {
        if (recipe.isFrozen()) {
            Tensor y = Ops.frozenLinear(x, weight.frozen(), bias == null ? null : bias.value());
            return gelu ? Ops.gelu(y) : y;
        }
        Tensor w = weight.value();
        Tensor b = bias == null ? null : bias.value();
        LinearWatch.tell(watch -> watch.multiplied(w, x));
        if (recipe.isScaled()) {
            return Ops.linear(x, w, b, gelu, recipe, delayed, reader);
        }
        if (recipe == Recipe.INT4_QAT) {
            Tensor rounded = Ops.fakeQuantize(w, recipe.forward(), recipe.weights());
            return gelu ? Ops.linearGelu(x, rounded, b) : Ops.linear(x, rounded, b);
        }
        return gelu ? Ops.linearGelu(x, w, b) : Ops.linear(x, w, b);
    }
}
