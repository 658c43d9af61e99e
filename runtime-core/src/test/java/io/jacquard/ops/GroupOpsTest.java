package io.jacquard.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import io.jacquard.group.Group;
import io.jacquard.group.LocalGroup;
import io.jacquard.group.Pending;
import io.jacquard.group.SoloGroup;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.HostBackend;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/// What operations of groups launch, and when the actions of [OnBackward] run.
final class GroupOpsTest {
    private static final Group SOLO = new SoloGroup();

    /// Two ranks whose collectives do nothing.
    private static final Group PAIR = (Group)
            Proxy.newProxyInstance(Group.class.getClassLoader(), new Class<?>[] {Group.class}, (_, method, _) -> {
                return method.getName().equals("size") ? (Object) 2 : Pending.DONE;
            });

    @Test
    void aGroupOfOneCostsNothing() {
        HostBackend backend = new HostBackend();
        try (Session session = Session.over(backend);
                var _ = Scope.open("test")) {
            Tensor x = Tensor.empty(Shape.of(2, 3, 4), DType.F32).leaf();
            long used = session.usedBytes();
            assertSame(x, Ops.copyToGroup(x, SOLO));
            assertSame(x, Ops.allReduce(x, SOLO));
            for (Tensor y : List.of(Ops.gatherRows(x, SOLO), Ops.scatterRows(x, SOLO))) {
                assertEquals(Shape.of(6, 4), y.shape());
                assertEquals(x.address(), y.address());
            }
            assertEquals(used, session.usedBytes());
            assertEquals(List.of(), backend.takeLog());
        }
    }

    @Test
    void aGradientThatNobodyElseReadsIsSummedInPlace() {
        UnaryOperator<Tensor> one = x -> Ops.scale(Ops.copyToGroup(x, PAIR), 2f);
        assertEquals(List.of("axpby"), launchesOfBackward(one));
        UnaryOperator<Tensor> shared = x -> Ops.add(Ops.copyToGroup(x, PAIR), Ops.scale(x, 2f));
        assertEquals(List.of("axpby", "cast", "axpby"), launchesOfBackward(shared));
    }

    private static List<String> launchesOfBackward(UnaryOperator<Tensor> operation) {
        HostBackend backend = new HostBackend();
        try (Session _ = Session.over(backend);
                var _ = Scope.open("test")) {
            Tensor x = Tensor.zeros(Shape.of(3), DType.F32).leaf();
            Tensor y = operation.apply(Ops.scale(x, 1f));
            Tensor dy = Tensor.zeros(Shape.of(3), DType.F32);
            backend.takeLog();
            Gradients.of(y, dy, x);
            List<String> log = backend.takeLog();
            return log.subList(0, log.size() - 1); // without that of the first scale
        }
    }

    /// Two layers, each behind an action that looks at the gradient of its weight.
    private static Tensor layers(Tensor x, List<Tensor> weights, List<float[]> seen) {
        Tensor h = x;
        for (Tensor w : weights) {
            Tensor gradient = Objects.requireNonNull(w.sink()).gradient();
            Tensor in = Ops.afterBackward(h, () -> seen.add(gradient.toFloats()));
            h = Ops.add(Ops.gelu(Ops.linear(in, w, null)), in);
        }
        return h;
    }

    private static void actionsSeeWholeGradients(boolean wantsGradient, boolean recomputes) {
        try (Session _ = Session.open("cpu");
                var _ = Scope.open("test")) {
            Tensor value = Tensor.of(Shape.of(2, 2), 0.5f, -1f, 2f, 0.25f);
            Tensor x = wantsGradient ? value.leaf() : value;
            List<Tensor> weights = new ArrayList<>();
            for (int i = 0; i < 2; i++) {
                Tensor w = Tensor.of(Shape.of(2, 2), 1f, i, -0.5f, 0.75f);
                weights.add(w.leaf(Tensor.zeros(w.shape(), DType.F32), "weight " + i));
            }
            List<float[]> seen = new ArrayList<>();
            UnaryOperator<Tensor> block = in -> layers(in, weights, seen);
            Tensor y = recomputes ? Ops.recompute(block, x) : block.apply(x);
            Ops.sum(Ops.mul(y, y)).backward();
            assertEquals(2, seen.size());
            for (int i = 0; i < 2; i++) {
                float[] end =
                        Objects.requireNonNull(weights.get(i).sink()).gradient().toFloats();
                assertArrayEquals(end, seen.get(1 - i), "layer " + i);
            }
        }
    }

    @Test
    void actionsRunWhenTheGradientsBehindThemAreWhole() {
        actionsSeeWholeGradients(true, false);
        actionsSeeWholeGradients(true, true);
    }

    @Test
    void actionsRunWhereOnlyWeightsWantGradients() {
        actionsSeeWholeGradients(false, false);
    }

    /// Backward in two parts comes to the weights' values in the first, to their gradients in the second.
    @Test
    void actionsBeforeBackwardWaitForNothing() {
        try (Session _ = Session.open("cpu");
                var _ = Scope.open("test")) {
            Tensor x = Tensor.of(Shape.of(1, 1), 3f).leaf();
            Tensor value = Tensor.of(Shape.of(1, 1), 5f);
            Tensor w = value.leaf(Tensor.zeros(Shape.of(1, 1), DType.F32), "weight");
            List<String> events = new ArrayList<>();
            Tensor in = Ops.afterBackward(x, () -> events.add("after"));
            Tensor y = Ops.beforeBackward(Ops.linear(in, w, null), () -> {
                events.add("before");
                value.copyFrom(new float[] {7f});
            });
            value.copyFrom(new float[] {-1f}); // as if another block's
            Gradients.Split split = Gradients.split(y, null, x);
            assertEquals(7f, Objects.requireNonNull(split.wanted().getFirst()).item());
            assertEquals(List.of("before"), events);
            split.weights();
            assertEquals(List.of("before", "after"), events);
        }
    }

    private static final float[][] LOGITS = {{0.5f, -2f, 3f, 1f, 0.25f}, {-1f, 4f, 0f, 2f, -0.5f}, {1f, 1f, 1f, 1f, 1f}
    };

    /// Columns `from` to `to` (exclusive).
    private static Tensor logits(int from, int to) {
        float[] values = new float[LOGITS.length * (to - from)];
        for (int i = 0; i < values.length; i++) {
            values[i] = LOGITS[i / (to - from)][from + i % (to - from)];
        }
        return Tensor.of(Shape.of(LOGITS.length, to - from), values);
    }

    @Test
    void lossesOfDividedLogitsAreThoseOfWholeOnes() {
        LocalGroup.run(2, g -> {
            try (Session session = Session.open("cpu")) {
                try (var _ = Scope.open("test")) {
                    Tensor labels = Tensor.of(Shape.of(3), 4, -1, 1);
                    float[] whole = Ops.tokenLosses(logits(0, 5), labels).toFloats();
                    Tensor part = g.rank() == 0 ? logits(0, 2) : logits(2, 5);
                    float[] before = part.toFloats();
                    float[] losses =
                            Ops.tokenLosses(part, labels, 2 * g.rank(), g).toFloats();
                    assertArrayEquals(whole, losses, 2 * Math.ulp(4f));
                    assertArrayEquals(before, part.toFloats(), "the logits stay");
                }
                assertEquals(0, session.usedBytes());
            }
        });
    }
}
