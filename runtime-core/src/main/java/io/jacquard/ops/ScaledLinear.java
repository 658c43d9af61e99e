package io.jacquard.ops;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Casts;
import io.jacquard.tensor.spi.Epilogue;
import io.jacquard.tensor.spi.Kernels;
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
            DelayedScales.@Nullable Layer delayed,
            @Nullable Reader reader) {
        // the GELU within the product gives no largest magnitude; one of its own would read again what it saves
        boolean casts = gelu && reader != null && reader.knowsScales();
        Tensor y = Linear.result(x, weight, bias, casts ? reader : null);
        boolean records = Tensor.records(Linear.inputs(x, weight, bias));
        boolean wantsX = records && x.needsGradient();
        boolean wantsWeight = records && weight.needsGradient() && recipe.roundsWeightGradient();
        Copies a;
        Copies w;
        Tensor pre;
        try (Scope s = Scope.openWithoutGrad("operands in low precision")) {
            pre = gelu && (records || !y.casts().isNone()) ? Tensor.empty(y.shape(), y.dtype()) : null;
            a = copies(x, recipe.forward(), recipe.activations(), true, wantsWeight, site(delayed, 0), records);
            w = copies(weight, recipe.forward(), recipe.weights(), true, wantsX, site(delayed, 1), records);
            tell(LinearWatch.Operand.INPUT, weight, x, here(a.straight));
            tell(LinearWatch.Operand.WEIGHT, weight, weight, here(w.straight));
            product(y, pre, gelu, here(a.straight), here(w.straight), bias);
            keep(s, a.transposed);
            keep(s, w.transposed);
            pre = pre != null && records ? s.keep(pre) : null;
        }
        free(here(a.straight).values());
        Tensor amax = x.casts().amax();
        if (amax != null && delayed == null) {
            free(amax);
        }
        return y.from(new ScaledLinear(x, weight, bias, pre, recipe, delayed, a.transposed, w.transposed));
    }

    /// Of what the operation before has made for this one.
    private static void free(Tensor made) {
        Scope.current().free(made, "was made for one linear layer, which has read it");
    }

    /// @param pre memory for the argument of the GELU, where backward or a kernel of its own reads that
    private static void product(
            Tensor y, @Nullable Tensor pre, boolean gelu, Scaled a, Scaled w, @Nullable Tensor bias) {
        Kernels k = y.kernels();
        if (pre == null) {
            k.matmulScaled(y, a, w, 0f, Epilogue.bias(bias));
            if (gelu) {
                k.gelu(y, y);
            }
        } else if (y.casts().isNone()) {
            k.matmulScaled(y, a, w, 0f, Epilogue.gelu(bias, pre));
        } else {
            k.matmulScaled(pre, a, w, 0f, Epilogue.bias(bias));
            k.gelu(null, pre, y.casts());
        }
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

    /// Rounds `x`, whose leading dimensions are rows, unless that was done where it was made.
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
        Casts made = x.casts();
        if (isOf(site, made.straight()) || isOf(site, made.transposed())) {
            return new Copies(made.straight(), made.transposed());
        }
        int rows = Math.toIntExact(x.shape().rows());
        int columns = x.shape().last();
        Tensor scale = blocks.isWhole() ? scale(x, type, site, counts) : null;
        Copies c = new Copies(
                straight ? empty(rows, columns, type, blocks, scale) : null,
                transposed ? empty(columns, rows, type, blocks, scale) : null);
        x.kernels().quantize(c.straight, c.transposed, x);
        return c;
    }

    private static boolean isOf(DelayedScales.@Nullable Site site, @Nullable Scaled copy) {
        return site != null
                && copy != null
                && copy.scales().address() == site.scale().address();
    }

    private static Scaled empty(int rows, int columns, DType type, Blocks blocks, @Nullable Tensor scale) {
        Shape shape = Shape.of(rows, columns);
        Tensor scales = scale == null ? Tensor.empty(blocks.of(shape), DType.F32) : scale;
        return new Scaled(Tensor.empty(shape, type), scales, blocks);
    }

    /// The scale of all of `x`, `[1, 1]`.
    private static Tensor scale(Tensor x, DType type, DelayedScales.@Nullable Site site, boolean counts) {
        if (site != null && site.isSettled()) {
            if (counts) {
                site.see(x);
            }
            return site.matrixScale();
        }
        Tensor scale = Tensor.empty(Shape.of(1, 1), DType.F32);
        Tensor amax = x.casts().amax();
        if (amax == null) {
            amax = scale;
            x.kernels().absMax(amax, x, 0f);
        }
        if (site != null && counts) {
            site.see(amax);
        }
        x.kernels().scaleOf(scale, amax, type);
        return scale;
    }

    @Override
    public List<Tensor> inputs() {
        return Linear.inputs(x, weight, bias);
    }

    @Override
    public List<Tensor> saved() {
        List<Tensor> saved = new ArrayList<>(own(xTransposed, site(delayed, 0)));
        saved.addAll(own(wTransposed, site(delayed, 1)));
        if (preActivation != null) {
            saved.add(preActivation);
        }
        return saved;
    }

    /// What of a copy is this node's: scales of steps before are not.
    private static List<Tensor> own(@Nullable Scaled s, DelayedScales.@Nullable Site site) {
        return s == null ? List.of() : isOf(site, s) ? List.of(s.values()) : List.of(s.values(), s.scales());
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        Tensor d = dy;
        if (preActivation != null) {
            d = preActivation.with(gradientCasts(dy)); // in place: nobody else reads it, and backward runs once
            d.kernels().geluGrad(d, dy, preActivation, 0f, d.casts());
            Tensor amax = delayed == null ? d.casts().amax() : null;
            into.temporary(amax == null ? List.of() : List.of(amax));
        }
        linear(d, into);
    }

    private Casts gradientCasts(Tensor dy) {
        boolean straight = wTransposed != null;
        boolean transposed = xTransposed != null;
        return Reader.casts(recipe, recipe.gradient(), site(delayed, 2), dy.shape(), straight, transposed, true);
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
        into.temporary(own(g.straight, site(delayed, 2)));
        into.temporary(own(g.transposed, site(delayed, 2)));
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
