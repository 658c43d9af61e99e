package io.jacquard.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.spi.Graph;
import io.jacquard.tensor.spi.HostBackend;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// The engine by itself, with nodes made here.
final class GradientsTest {
    private static final Shape TWO = Shape.of(2);
    private HostBackend backend;
    private Session session;
    private Scope scope;

    @BeforeEach
    void open() {
        backend = new HostBackend();
        session = Session.over(backend);
        scope = Scope.open("step");
    }

    @AfterEach
    void close() {
        scope.close();
        assertEquals(0, session.usedBytes());
        session.close();
    }

    /// `x + y`: hands its gradient on.
    record Plus(Tensor x, Tensor y) implements Node {
        static Tensor of(Tensor x, Tensor y) {
            Tensor out = Tensor.empty(x.shape(), x.dtype());
            x.kernels().add(out, x, y);
            return out.from(new Plus(x, y));
        }

        @Override
        public List<Tensor> inputs() {
            return List.of(x, y);
        }

        @Override
        public void backward(Tensor dy, Gradients into) {
            into.pass(x, dy);
            into.pass(y, dy);
        }
    }

    /// `x * y`: writes its gradients.
    record Times(Tensor x, Tensor y) implements Node {
        static Tensor of(Tensor x, Tensor y) {
            Tensor out = Tensor.empty(x.shape(), x.dtype());
            x.kernels().mul(out, x, y, 0f);
            return out.from(new Times(x, y));
        }

        @Override
        public List<Tensor> inputs() {
            return List.of(x, y);
        }

        @Override
        public void backward(Tensor dy, Gradients into) {
            into.add(x, (dx, beta) -> dx.kernels().mul(dx, dy, y, beta));
            into.add(y, (d, beta) -> d.kernels().mul(d, dy, x, beta));
        }
    }

    /// The same memory under another shape.
    private record View(Tensor x) implements Node {
        static Tensor of(Tensor x, Shape to) {
            return x.detach().reshape(to).from(new View(x));
        }

        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }

        @Override
        public void backward(Tensor dy, Gradients into) {
            into.pass(x, dy);
        }
    }

    /// The identity; tells a list in which order it is visited, and whether `watched` is still alive then.
    private record Tell(Tensor x, String name, List<String> visits, Tensor watched) implements Node {
        static Tensor of(Tensor x, String name, List<String> visits, Tensor watched) {
            Tensor out = Tensor.empty(x.shape(), x.dtype());
            x.kernels().axpby(out, 1f, x, 0f);
            return out.from(new Tell(x, name, visits, watched));
        }

        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }

        @Override
        public void backward(Tensor dy, Gradients into) {
            visits.add(name + (watched.storage().isAlive() ? "" : ", watched is gone"));
            into.pass(x, dy);
        }
    }

    /// The identity, with something saved for backward.
    private record Saving(Tensor x, Tensor kept) implements Node {
        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }

        @Override
        public List<Tensor> saved() {
            return List.of(kept);
        }

        @Override
        public void backward(Tensor dy, Gradients into) {
            kept.address();
            into.pass(x, dy);
        }
    }

    @Test
    void whatWasSavedForBackwardIsFreedByIt() {
        Tensor x = leaf(1f, 2f);
        Tensor kept = Tensor.of(TWO, 3f, 4f);
        List<String> visits = new ArrayList<>();
        Tensor before = Tell.of(x, "before", visits, kept);
        Tensor y = Tensor.empty(TWO, DType.F32);
        y.kernels().axpby(y, 1f, before, 0f);
        Tensor saving = y.from(new Saving(before, kept));
        Tensor after = Tell.of(saving, "after", visits, kept);
        Gradients.of(after, Tensor.of(TWO, 1f, 1f), x);
        assertEquals(List.of("after", "before, watched is gone"), visits);
        assertEquals(
                "tensor used after free: [2] F32 was saved for backward and freed by it",
                assertThrows(IllegalStateException.class, kept::address).getMessage());
    }

    private static Tensor leaf(float... values) {
        return Tensor.of(Shape.of(values.length), values).leaf();
    }

    private static void gradient(Tensor t, float... expected) {
        assertArrayEquals(expected, t.toFloats());
    }

    @Test
    void aProduct() {
        Tensor x = leaf(2, 3);
        Tensor y = leaf(5, 7);
        List<Tensor> g = Gradients.of(Times.of(x, y), Tensor.of(TWO, 1f, 10f), x, y);
        gradient(g.get(0), 5, 70);
        gradient(g.get(1), 2, 30);
    }

    /// d(x x)/dx: both inputs are one tensor.
    @Test
    void theSameInputTwice() {
        Tensor x = leaf(3);
        gradient(Gradients.of(Times.of(x, x), null, x).getFirst(), 6);
        Tensor y = leaf(3);
        gradient(Gradients.of(Plus.of(y, y), null, y).getFirst(), 2);
    }

    /// `a = x + x; b = a + x; c = a b` with sharing along `pass`.
    @Test
    void aDiamond() {
        Tensor x = leaf(3);
        Tensor a = Plus.of(x, x);
        Tensor b = Plus.of(a, x);
        gradient(Gradients.of(Times.of(a, b), null, x).getFirst(), 36); // c = 6 x^2
    }

    /// `Plus` hands one gradient to x and y; what is added to x's afterwards must not show in y's.
    @Test
    void aSharedGradientIsCopiedBeforeItIsWritten() {
        Tensor x = leaf(2);
        Tensor y = leaf(5);
        Tensor product = Times.of(x, x); // older than the sum: visited later, when x's gradient is shared
        Tensor sum = Plus.of(x, y);
        List<Tensor> g = Gradients.of(Plus.of(sum, product), null, x, y);
        gradient(g.get(0), 5);
        gradient(g.get(1), 1);
    }

    @Test
    void theGivenGradientIsNeitherChangedNorFreed() {
        Tensor x = leaf(2);
        Tensor y = leaf(5);
        Tensor dy = Tensor.of(Shape.of(1), 3f);
        Tensor product = Times.of(x, x);
        List<Tensor> g = Gradients.of(Plus.of(Plus.of(x, y), product), dy, x, y);
        gradient(dy, 3);
        gradient(g.get(0), 15);
        gradient(g.get(1), 3);
    }

    @Test
    void handingOnCopiesNothing() {
        Tensor x = leaf(2);
        Tensor y = Plus.of(Tensor.of(Shape.of(1), 1f), Plus.of(x, Tensor.of(Shape.of(1), 4f)));
        backend.takeLog();
        Gradients.of(y, null, x);
        assertEquals(List.of("fill"), backend.takeLog(), "the ones of the result");
    }

    @Test
    void sinksOverwriteThenAccumulate() {
        Tensor into = Tensor.of(Shape.of(1), Float.NaN); // of the last step, or never written
        Tensor w = Tensor.of(Shape.of(1), 3f).leaf(into, "w");
        Times.of(w, Tensor.of(Shape.of(1), 4f)).backward();
        gradient(into, 4);
        Times.of(w, Tensor.of(Shape.of(1), 5f)).backward();
        gradient(into, 9);
        Plus.of(w, w).backward();
        gradient(into, 11);
        w.sink().fresh();
        Times.of(w, w).backward();
        gradient(into, 6);
        gradient(w, 3);
    }

    @Test
    void settleClearsOnlyWhatNobodyWrote() {
        Tensor into = Tensor.of(Shape.of(1), 7f);
        Tensor w = Tensor.of(Shape.of(1), 3f).leaf(into, "w");
        w.sink().settle();
        gradient(into, 0);
        Times.of(w, w).backward();
        gradient(into, 6); // settled counts as written: accumulated onto zero
        w.sink().settle();
        gradient(into, 6);
        w.sink().fresh();
        gradient(into, 6);
        w.sink().settle();
        gradient(into, 0);
    }

    /// A sink may be F32 over bf16 values.
    @Test
    void aSinkMayHaveAnotherDType() {
        Tensor into = Tensor.of(Shape.of(1), 0f);
        Tensor value = Tensor.empty(Shape.of(1), DType.BF16);
        value.kernels().fill(value, 2f);
        Tensor w = value.leaf(into, "w");
        Plus.of(w, w).backward();
        gradient(into, 2);
    }

    @Test
    void whatNothingFlowsToIsNull() {
        Tensor x = leaf(2);
        Tensor other = leaf(3);
        List<Tensor> g = Gradients.of(Times.of(x, x), null, other, x);
        assertNull(g.get(0));
        gradient(g.get(1), 4);
    }

    @Test
    void nothingIsRecordedWithoutNeed() {
        Tensor constant = Tensor.of(TWO, 1f, 2f);
        assertFalse(Times.of(constant, constant).needsGradient());
        Tensor x = leaf(1, 2);
        assertTrue(Times.of(constant, x).needsGradient());
        assertFalse(Times.of(constant, x.detach()).needsGradient());
        try (var _ = Scope.openWithoutGrad("evaluation")) {
            assertFalse(Times.of(x, x).needsGradient());
        }
    }

    @Test
    void messages() {
        Tensor x = leaf(1, 2);
        assertEquals(
                "backward: [2] F32 is not a scalar; give its gradient to Gradients.of",
                assertThrows(IllegalArgumentException.class, Times.of(x, x)::backward)
                        .getMessage());
        assertEquals(
                "backward: [1] F32 depends on nothing that wants a gradient",
                assertThrows(IllegalStateException.class, Tensor.zeros(Shape.of(1), DType.F32)::backward)
                        .getMessage());
    }

    @Test
    void newestFirst() {
        List<String> visits = new ArrayList<>();
        Tensor x = leaf(1);
        Tensor a = Tell.of(x, "a", visits, x);
        Tensor b = Tell.of(x, "b", visits, x);
        Tensor c = Tell.of(a, "c", visits, x);
        Plus.of(Plus.of(c, b), a).backward();
        assertEquals(List.of("c", "b", "a"), visits);
    }

    @Test
    void valuesAreFreedAfterTheirLastUse() {
        List<String> visits = new ArrayList<>();
        Tensor x = leaf(3);
        Tensor first = Tell.of(x, "first", visits, x);
        Tensor second = Tell.of(first, "second", visits, x);
        Tensor used = Times.of(second, second);
        Tensor last = Tell.of(used, "last", visits, used);
        Tensor y = Tell.of(last, "y", visits, last);
        long before = session.usedBytes();
        List<Tensor> g = Gradients.of(y, null, x);
        gradient(g.getFirst(), 6);
        for (Tensor freed : List.of(first, second, used, last)) {
            assertFalse(freed.storage().isAlive());
        }
        gradient(y, 9); // the result stays
        gradient(x, 3); // and so does the leaf
        assertEquals(before - 4 * 256 + 256, session.usedBytes(), "four values went, one gradient came");
        assertEquals(
                "tensor used after free: [1] F32 was freed by backward after its last use; keep() it to read it later",
                assertThrows(IllegalStateException.class, used::address).getMessage());
    }

    /// Twenty products: backward needs the ones it starts from and two gradients at a time, whatever the depth.
    @Test
    void gradientsAreFreedAfterTheirLastUse() {
        Tensor x = leaf(1, 1);
        Tensor constant = Tensor.of(TWO, 1f, 1f);
        Tensor y = x;
        for (int i = 0; i < 20; i++) {
            y = Times.of(y, constant);
        }
        long before = session.peakBytes();
        Gradients.of(y, null, x);
        assertEquals(
                before + 3 * 256,
                session.peakBytes(),
                "the ones, the gradient of a product and of what it was made from");
        assertEquals(256 * 4, session.usedBytes(), "x, constant, result, gradient");
    }

    /// While a node runs, what it saved must live.
    @Test
    void valuesLiveUntilTheirOwnNodeHasRun() {
        List<String> visits = new ArrayList<>();
        Tensor x = leaf(3);
        Tensor value = Plus.of(x, x);
        Tensor late = Tell.of(value, "late", visits, value);
        Tensor early = Times.of(value, late);
        Tell.of(early, "early", visits, value).backward();
        assertEquals(List.of("early", "late"), visits);
        assertFalse(value.storage().isAlive());
    }

    /// A parameter in the very scope of the backward pass, used through a view: it is a leaf and must stay.
    @Test
    void aLeafSeenThroughAViewIsNotFreed() {
        Tensor x = leaf(2, 3);
        Tensor flat = View.of(x, Shape.of(1, 2));
        List<Tensor> g = Gradients.of(Times.of(flat, flat), Tensor.of(Shape.of(1, 2), 1f, 1f), x);
        gradient(g.getFirst(), 4, 6);
        gradient(x, 2, 3);
    }

    @Test
    void aViewThatWouldDropAGradientIsRefused() {
        Tensor x = leaf(2, 3);
        assertEquals(
                "rows: [2] F32 carries a gradient that a view would drop; use Ops.narrow, or detach() it first",
                assertThrows(IllegalStateException.class, () -> x.rows(0, 1)).getMessage());
        assertThrows(IllegalStateException.class, () -> x.slice(0, Shape.of(1)));
        assertThrows(IllegalStateException.class, () -> x.reshape(Shape.of(1, 2)));
        assertEquals(Shape.of(1), x.detach().rows(0, 1).shape());
    }

    @Test
    void memorySeenThroughTwoViewsIsFreedOnce() {
        Tensor x = leaf(2, 3);
        Tensor value = Plus.of(x, x);
        Tensor one = View.of(value, Shape.of(1, 2));
        Tensor two = View.of(value, Shape.of(2, 1));
        Tensor product = View.of(Times.of(one, View.of(two, Shape.of(1, 2))), TWO);
        gradient(Gradients.of(product, Tensor.of(TWO, 1f, 1f), x).getFirst(), 16, 24);
        assertFalse(value.storage().isAlive());
    }

    @Test
    void tenThousandNodesDeep() {
        Tensor x = leaf(1);
        Tensor y = x;
        for (int i = 0; i < 10_000; i++) {
            y = Plus.of(y, x);
        }
        gradient(Gradients.of(y, null, x).getFirst(), 10_001);
    }

    /// Recording executes nothing; replaying is bit for bit the eager run, at the same addresses.
    @Test
    void capturedBackwardEqualsEager() {
        Tensor x = Tensor.of(TWO, 0.1f, -3.7f);
        Tensor into = Tensor.zeros(TWO, DType.F32);
        Runnable step = () -> {
            try (var _ = Scope.openArena("step", 1 << 16)) {
                Tensor w = x.leaf(into, "w");
                Tensor y = Times.of(Plus.of(w, w), Times.of(w, w));
                Gradients.of(Times.of(y, y), x, new Tensor[0]);
            }
        };
        step.run();
        float[] eager = into.toFloats();
        into.copyFrom(new float[2]);
        backend.takeLog();
        try (var graph = session.capture(step)) {
            assertEquals(List.of(), backend.takeLog());
            gradient(into, 0, 0);
            graph.replay();
            assertArrayEquals(eager, into.toFloats());
            x.copyFrom(new float[] {2, 2});
            graph.replay();
        }
        float[] replayed = into.toFloats();
        step.run();
        assertArrayEquals(into.toFloats(), replayed);
    }

    @Test
    void aGraphDiesWithTheScopeItWasCapturedIn() {
        Graph graph;
        try (var _ = Scope.openArena("recorded step", 1 << 16)) {
            graph = session.capture(() -> Tensor.zeros(TWO, DType.F32));
            graph.replay();
        }
        String message =
                assertThrows(IllegalStateException.class, graph::replay).getMessage();
        assertTrue(
                message.matches("replay: the memory of this graph is gone: it was captured in scope 'recorded step'"
                        + " \\(opened at GradientsTest.java:\\d+\\), which is closed; keep that scope open as long as"
                        + " the graph"),
                message);
        graph.close();
    }

    @Test
    void copiesAreRefusedWhileRecording() {
        Tensor x = Tensor.zeros(TWO, DType.F32);
        assertThrows(IllegalStateException.class, () -> session.capture(() -> x.copyFrom(new float[2])));
        assertThrows(IllegalStateException.class, () -> session.capture(x::toFloats));
    }

    @Test
    void theEngineLeavesOnlyWhatWasWanted() {
        Tensor x = leaf(1, 2);
        long start = session.usedBytes();
        for (int i = 0; i < 3; i++) {
            try (var _ = Scope.open("micro-batch")) {
                Tensor y = Plus.of(Times.of(x, x), x);
                for (int k = 0; k < 5; k++) {
                    y = Plus.of(Times.of(y, x), y);
                }
                Gradients.of(
                        y, Tensor.of(TWO, 1f, 1f), Collections.nCopies(2, x).toArray(Tensor[]::new));
            }
            assertEquals(start, session.usedBytes());
        }
    }
}
