package io.jacquard.ops;

import io.jacquard.group.Group;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Scaled;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// The operations whose gradients are checked.
final class GradientCases {
    private GradientCases() {}

    /// A tensor that is the same on all ranks, or one of its own on each.
    record Input(Shape shape, boolean same) {}

    /// An operation of as many ranks on inputs of these shapes. Where its result is the same on all, so is what
    /// they compute from it, and it counts once; else the results of all ranks together are the result.
    record Case(String name, int ranks, List<Input> inputs, boolean sameResult, Operation operation) {
        @Override
        public String toString() {
            return name;
        }
    }

    interface Operation {
        Tensor apply(Group group, List<Tensor> inputs);
    }

    private interface Alone {
        Tensor apply(List<Tensor> inputs);
    }

    private static Case of(String name, Alone operation, int[]... shapes) {
        List<Input> inputs =
                Arrays.stream(shapes).map(s -> new Input(Shape.of(s), true)).toList();
        return new Case(name, 1, inputs, true, (_, in) -> operation.apply(in));
    }

    private static int[] shape(int... dims) {
        return dims;
    }

    private static Input same(int... dims) {
        return new Input(Shape.of(dims), true);
    }

    private static Input own(int... dims) {
        return new Input(Shape.of(dims), false);
    }

    static List<Case> cases() {
        List<Case> list = new ArrayList<>(List.of(
                of("add", in -> Ops.add(in.get(0), in.get(1)), shape(2, 3), shape(2, 3)),
                of("add to itself", in -> Ops.add(in.get(0), in.get(0)), shape(3)),
                of("addRow", in -> Ops.addRow(in.get(0), in.get(1)), shape(2, 2, 3), shape(3)),
                of("mul", in -> Ops.mul(in.get(0), in.get(1)), shape(2, 3), shape(2, 3)),
                of("square", in -> Ops.mul(in.get(0), in.get(0)), shape(5)),
                of("scale", in -> Ops.scale(in.get(0), -0.75f), shape(7)),
                of("gelu", in -> Ops.gelu(in.get(0)), shape(3, 5)),
                of("swiGlu", in -> Ops.swiGlu(in.get(0)), shape(3, 8)),
                of("softmax", in -> Ops.softmax(in.get(0)), shape(3, 5)),
                of("sum", in -> Ops.sum(in.get(0)), shape(2, 7)),
                of("cast to bf16 and back", in -> Ops.cast(Ops.cast(in.get(0), DType.BF16), DType.F32), shape(9)),
                of("afterBackward", in -> Ops.afterBackward(in.get(0), () -> {}), shape(2, 3)),
                of("beforeBackward", in -> Ops.beforeBackward(in.get(0), () -> {}), shape(2, 3)),
                of("reshape", in -> Ops.reshape(in.get(0), Shape.of(3, 4)), shape(2, 6)),
                of("permute", in -> Ops.permute(in.get(0), 2, 0, 1), shape(2, 3, 4)),
                of("narrow first", in -> Ops.narrow(in.get(0), 0, 1, 2), shape(4, 3)),
                of("narrow last", in -> Ops.narrow(in.get(0), 1, 2, 3), shape(2, 7)),
                of("concat", in -> Ops.concat(1, in.get(0), in.get(1)), shape(2, 3), shape(2, 1)),
                of("concat with itself", in -> Ops.concat(0, in.get(0), in.get(0)), shape(2, 3)),
                of("matmul", in -> Ops.matmul(in.get(0), in.get(1)), shape(2, 3, 4), shape(4, 5)),
                of("linear", in -> Ops.linear(in.get(0), in.get(1), null), shape(3, 4), shape(5, 4)),
                of(
                        "linear with bias",
                        in -> Ops.linear(in.get(0), in.get(1), in.get(2)),
                        shape(3, 4),
                        shape(5, 4),
                        shape(5)),
                of("frozenLinear", in -> Ops.frozenLinear(in.get(0), frozen(), in.get(1)), shape(3, 4), shape(5)),
                of("linear, gelu", in -> Ops.linearGelu(in.get(0), in.get(1), null), shape(2, 4), shape(5, 4)),
                of(
                        "linear with bias, gelu",
                        in -> Ops.linearGelu(in.get(0), in.get(1), in.get(2)),
                        shape(3, 4),
                        shape(5, 4),
                        shape(5))));
        list.addAll(blocks());
        list.addAll(groups());
        return list;
    }

    /// A weight `[5, 4]` of four bits.
    private static Scaled frozen() {
        float[] values = new float[20];
        for (int i = 0; i < 20; i++) {
            values[i] = (i * 7 % 11 - 5) / 4f;
        }
        Scaled w = Scaled.empty(5, 4, DType.I4, Scaled.Blocks.ROWS);
        Tensor from = Tensor.of(Shape.of(5, 4), values);
        from.kernels().quantize(w, null, from);
        return w;
    }

    private static List<Case> blocks() {
        Alone block =
                in -> Ops.recompute(x -> Ops.linear(Ops.linearGelu(x, in.get(1), null), in.get(2), null), in.get(0));
        return List.of(
                of(
                        "layerNorm",
                        in -> Ops.layerNorm(in.get(0), null, in.get(1), in.get(2), 1e-2f)
                                .value(),
                        shape(2, 5),
                        shape(5),
                        shape(5)),
                of(
                        "layerNorm with residual",
                        in -> both(Ops.layerNorm(in.get(0), in.get(1), in.get(2), in.get(3), 1e-2f)),
                        shape(2, 5),
                        shape(2, 5),
                        shape(5),
                        shape(5)),
                of(
                        "rmsNorm",
                        in -> Ops.rmsNorm(in.get(0), null, in.get(1), 1e-2f).value(),
                        shape(2, 5),
                        shape(5)),
                of(
                        "rmsNorm with residual",
                        in -> both(Ops.rmsNorm(in.get(0), in.get(1), in.get(2), 1e-2f)),
                        shape(2, 5),
                        shape(2, 5),
                        shape(5)),
                of("rope", in -> Ops.rope(Ops.scale(in.get(0), 1f), 2, 4, 100f, 5), shape(2, 3, 10)),
                of("attention", in -> Ops.attention(in.get(0), 2, 2), shape(2, 3, 12)),
                of("attention, grouped", in -> Ops.attention(in.get(0), 4, 2), shape(1, 5, 16)),
                of("dropout", in -> Ops.dropout(in.get(0), 0.4f, 7, Tensor.of(Shape.of(2), 3, 1), 5), shape(4, 7)),
                of("embedding", in -> Ops.embedding(in.get(0), ids(), in.get(1)), shape(4, 3), shape(5, 3)),
                of("embedding without positions", in -> Ops.embedding(in.get(0), ids(), null), shape(4, 3)),
                of(
                        "crossEntropy",
                        in -> Ops.crossEntropy(
                                Ops.scale(in.get(0), 1f),
                                Tensor.of(Shape.of(3), 2, -1, 0),
                                Tensor.of(Shape.of(1), 0.5f)),
                        shape(3, 5)),
                of("recompute", block, shape(2, 3), shape(4, 3), shape(3, 4)),
                of(
                        "recompute of a residual block",
                        in -> Ops.recompute(x -> Ops.add(x, Ops.gelu(x)), in.get(0)),
                        shape(2, 3)),
                of(
                        "recompute that only hands on",
                        in -> Ops.recompute(x -> Ops.add(x, in.get(1)), in.get(0)),
                        shape(2, 3),
                        shape(2, 3)));
    }

    private static List<Case> groups() {
        return List.of(
                new Case("copyToGroup", 2, List.of(same(2, 3)), false, (g, in) -> Ops.copyToGroup(in.get(0), g)),
                new Case(
                        "copyToGroup, its gradient in place",
                        3,
                        List.of(same(2, 3)),
                        false,
                        (g, in) -> Ops.gelu(Ops.copyToGroup(in.get(0), g))),
                new Case("two copyToGroup of one tensor", 2, List.of(same(2, 3)), false, (g, in) -> {
                    Tensor x = Ops.gelu(in.get(0));
                    return Ops.mul(Ops.copyToGroup(x, g), Ops.copyToGroup(x, g));
                }),
                new Case(
                        "allReduce",
                        3,
                        List.of(own(2, 3)),
                        true,
                        (g, in) -> Ops.allReduce(Ops.scale(in.get(0), 1f), g)),
                new Case("gatherRows", 3, List.of(own(1, 2, 2)), false, (g, in) -> Ops.gatherRows(in.get(0), g)),
                new Case("two gatherRows of one tensor", 2, List.of(own(2, 3)), false, (g, in) -> {
                    Tensor x = Ops.gelu(in.get(0));
                    return Ops.mul(Ops.gatherRows(x, g), Ops.gatherRows(x, g));
                }),
                new Case("scatterRows", 3, List.of(own(2, 3, 2)), false, (g, in) -> Ops.scatterRows(in.get(0), g)),
                new Case(
                        "embedding divided over ranks",
                        2,
                        List.of(own(2, 3)),
                        true,
                        (g, in) -> Ops.allReduce(Ops.embedding(in.get(0), ids(), 2 * g.rank(), null), g)),
                new Case(
                        "crossEntropy divided over ranks",
                        3,
                        List.of(own(3, 2)),
                        true,
                        (g, in) -> Ops.crossEntropy(
                                Ops.scale(in.get(0), 1f),
                                Tensor.of(Shape.of(3), 2, -1, 5),
                                Tensor.of(Shape.of(1), 0.5f),
                                2 * g.rank(),
                                g)),
                new Case("dropout divided over ranks", 2, List.of(own(3, 3)), false, GradientCases::droppedRows),
                new Case(
                        "layers divided over ranks",
                        3,
                        List.of(same(2, 3), own(2, 3), own(2), own(4, 2)),
                        true,
                        (g, in) -> Ops.allReduce(divided(g, Ops.copyToGroup(in.get(0), g), in), g)),
                new Case(
                        "layers and rows divided over ranks",
                        2,
                        List.of(own(1, 3), own(2, 3), own(2), own(4, 2)),
                        false,
                        (g, in) -> Ops.scatterRows(divided(g, Ops.gatherRows(in.get(0), g), in), g)));
    }

    private static Tensor droppedRows(Group g, List<Tensor> in) {
        return Ops.dropout(in.get(0), 0.4f, 7, Tensor.of(Shape.of(2), 3, 1), 5, 9L * g.rank());
    }

    /// Two linear layers, the first divided by its outputs and the second by its inputs.
    private static Tensor divided(Group g, Tensor x, List<Tensor> in) {
        Tensor hidden = Ops.linearGelu(x, in.get(1), in.get(2));
        return Ops.linear(hidden, in.get(3), null);
    }

    private static Tensor both(Normed n) {
        return Ops.add(n.value(), Ops.mul(n.total(), n.total()));
    }

    private static Tensor ids() {
        return Tensor.of(Shape.of(2, 3), 1, 3, 1, 0, 1, 3);
    }
}
