package io.jacquard.ops;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import io.jacquard.tensor.spi.Scaled;
import io.jacquard.tensor.spi.Scaled.Blocks;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// [Linear] whose operands are rounded to low precision: `y = q(x) · q(w)ᵀ + bias`. Gradients are those of the rounded
/// operands, as if rounding were the identity: `dx = q(dy) · q(w)`, `dw = q(dy)ᵀ · q(x)`.
///
/// Matrix units want both operands with the shared dimension innermost, so that each operand is rounded twice, the
/// second time transposed, by one launch; blocks of a row are other ones then.
///
/// @param xTransposed `q(x)ᵀ` `[i, n]`; null where the weight wants no gradient of low precision
/// @param wTransposed `q(w)ᵀ` `[i, o]`; null where `x` wants no gradient
record ScaledLinear(
        Tensor x,
        Tensor weight,
        @Nullable Tensor bias,
        @Nullable Tensor preActivation,
        Recipe recipe,
        DelayedScales.@Nullable Layer delayed,
        @Nullable Scaled xTransposed,
        @Nullable Scaled wTransposed)
        implements Node {

    /// A tensor in low precision, and transposed, either of which may be missing.
    private record Copies(
            @Nullable Scaled straight, @Nullable Scaled transposed) {}

    static Tensor of(
            Tensor x,
            Tensor weight,
            @Nullable Tensor bias,
            boolean gelu,
            Recipe recipe,
            DelayedScales.@Nullable Layer delayed) {
        Tensor y = Linear.result(x, weight, bias);
        boolean records = Tensor.records(Linear.inputs(x, weight, bias));
        boolean wantsX = records && x.needsGradient();
        boolean wantsWeight = records && weight.needsGradient() && recipe.roundsWeightGradient();
        Tensor pre = gelu && records ? Tensor.empty(y.shape(), y.dtype()) : null;
        Epilogue epilogue = pre == null ? Epilogue.bias(bias) : Epilogue.gelu(bias, pre);
        Copies a;
        Copies w;
        try (Scope s = Scope.openWithoutGrad("operands in low precision")) {
            a = copies(x, recipe.forward(), recipe.activations(), true, wantsWeight, site(delayed, 0), records);
            w = copies(weight, recipe.forward(), recipe.weights(), true, wantsX, site(delayed, 1), records);
            tell(LinearWatch.Operand.INPUT, weight, x, here(a.straight));
            tell(LinearWatch.Operand.WEIGHT, weight, weight, here(w.straight));
            y.kernels().matmulScaled(y, here(a.straight), here(w.straight), 0f, epilogue);
            keep(s, a.transposed);
            keep(s, w.transposed);
        }
        if (gelu && pre == null) {
            y.kernels().gelu(y, y);
        }
        return y.from(new ScaledLinear(x, weight, bias, pre, recipe, delayed, a.transposed, w.transposed));
    }

    private static void tell(LinearWatch.Operand operand, Tensor weight, Tensor x, Scaled copy) {
        LinearWatch.tell(w -> w.rounded(weight, operand, x, copy));
    }

    private static void keep(Scope scope, @Nullable Scaled s) {
        if (s != null) {
            scope.keep(s.values());
            scope.keep(s.scales());
        }
    }

    private static Scaled here(@Nullable Scaled s) {
        if (s == null) {
            throw new AssertionError("no copy in low precision");
        }
        return s;
    }

    private static DelayedScales.@Nullable Site site(DelayedScales.@Nullable Layer layer, int which) {
        return layer == null ? null : which == 0 ? layer.input() : which == 1 ? layer.weight() : layer.gradient();
    }

    /// Rounds `x`, whose leading dimensions are rows.
    ///
    /// @param counts whether a delayed scale takes notice of it
    private static Copies copies(
            Tensor x,
            DType type,
            Blocks blocks,
            boolean straight,
            boolean transposed,
            DelayedScales.@Nullable Site site,
            boolean counts) {
        int rows = Math.toIntExact(x.shape().rows());
        int columns = x.shape().last();
        Tensor scale = blocks.isWhole() ? scale(x, type, site, counts) : null;
        Copies c = new Copies(
                straight ? empty(rows, columns, type, blocks, scale) : null,
                transposed ? empty(columns, rows, type, blocks, scale) : null);
        x.kernels().quantize(c.straight, c.transposed, x);
        return c;
    }

    private static Scaled empty(int rows, int columns, DType type, Blocks blocks, @Nullable Tensor scale) {
        Shape shape = Shape.of(rows, columns);
        Tensor scales = scale == null ? Tensor.empty(blocks.of(shape), DType.F32) : scale;
        return new Scaled(Tensor.empty(shape, type), scales, blocks);
    }

    /// The scale of all of `x`, `[1, 1]`.
    private static Tensor scale(Tensor x, DType type, DelayedScales.@Nullable Site site, boolean counts) {
        if (site != null) {
            if (counts) {
                site.see(x);
            }
            return site.scale().reshape(Shape.of(1, 1));
        }
        Tensor scale = Tensor.empty(Shape.of(1, 1), DType.F32);
        x.kernels().absMax(scale, x, 0f);
        x.kernels().scaleOf(scale, scale, type);
        return scale;
    }

    @Override
    public List<Tensor> inputs() {
        return Linear.inputs(x, weight, bias);
    }

    @Override
    public List<Tensor> saved() {
        List<Tensor> saved = new ArrayList<>(own(xTransposed));
        saved.addAll(own(wTransposed));
        if (preActivation != null) {
            saved.add(preActivation);
        }
        return saved;
    }

    /// What of a copy is this node's: delayed scales are not.
    private List<Tensor> own(@Nullable Scaled s) {
        return s == null ? List.of() : delayed == null ? List.of(s.values(), s.scales()) : List.of(s.values());
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        Tensor d = dy;
        if (preActivation != null) {
            d = preActivation; // in place: nobody else reads it, and backward runs once
            d.kernels().geluGrad(d, dy, preActivation, 0f);
        }
        linear(d, into);
    }

    private void linear(Tensor dy, Gradients into) {
        Copies g = copies(
                dy,
                recipe.gradient(),
                recipe.activations(),
                wTransposed != null,
                xTransposed != null,
                site(delayed, 2),
                true);
        into.temporary(own(g.straight));
        into.temporary(own(g.transposed));
        if (g.straight != null && wTransposed != null) {
            Scaled d = g.straight;
            Scaled w = wTransposed;
            tell(LinearWatch.Operand.GRADIENT, weight, dy, d);
            into.add(x, (dx, beta) -> dx.kernels().matmulScaled(dx, d, w, beta, Epilogue.NONE), reads(d, w));
        }
        if (g.transposed != null && xTransposed != null) {
            Scaled d = g.transposed;
            Scaled a = xTransposed;
            into.add(weight, (dw, beta) -> dw.kernels().matmulScaled(dw, d, a, beta, Epilogue.NONE), reads(d, a));
        } else {
            into.add(weight, (dw, beta) -> dw.kernels().matmul(dw, dy, true, x, false, beta, Epilogue.NONE), dy, x);
        }
        if (bias != null) {
            into.add(bias, (db, beta) -> db.kernels().sumRows(db, dy, beta), dy);
        }
    }

    private static Tensor[] reads(Scaled a, Scaled b) {
        return new Tensor[] {a.values(), a.scales(), b.values(), b.scales()};
    }
}
