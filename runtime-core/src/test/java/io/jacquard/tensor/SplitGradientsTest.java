package io.jacquard.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.GradientsTest.Plus;
import io.jacquard.tensor.GradientsTest.Times;
import io.jacquard.tensor.spi.HostBackend;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// Backward in two parts, by itself.
final class SplitGradientsTest {
    private Session session;
    private Scope scope;

    @BeforeEach
    void open() {
        session = Session.over(new HostBackend());
        scope = Scope.open("step");
    }

    @AfterEach
    void close() {
        scope.close();
        assertEquals(0, session.usedBytes());
        session.close();
    }

    private static Tensor leaf(float value) {
        return Tensor.of(Shape.of(1), value).leaf();
    }

    private static void gradient(Tensor t, float expected) {
        assertArrayEquals(new float[] {expected}, t.toFloats());
    }

    private static Tensor weight(Tensor into, float value) {
        return Tensor.of(Shape.of(1), value).leaf(into, "w");
    }

    /// `x w` and then `x w + x`, whose gradient of x is that of x and is added to afterwards.
    @Test
    void weightsAreLeftToTheSecondPart() {
        Tensor into = Tensor.of(Shape.of(1), -1f);
        Tensor w = weight(into, 3);
        Tensor x = leaf(2);
        Gradients.Split split = Gradients.split(Plus.of(Times.of(x, w), x), Tensor.of(Shape.of(1), 5f), x);
        gradient(split.wanted().getFirst(), 20);
        gradient(into, -1);
        split.weights();
        gradient(into, 10);
        split.weights();
        gradient(into, 10);
        Gradients.Split again = Gradients.split(Times.of(x, w), null, x);
        again.weights();
        gradient(into, 12);
    }

    /// The gradient of `5 w + x` is, in one piece of memory, that of both: x's is added to when the writer of w's
    /// has yet to read it.
    @Test
    void aGradientThatIsReadLaterIsCopiedBeforeItIsWritten() {
        Tensor into = Tensor.zeros(Shape.of(1), DType.F32);
        Tensor x = leaf(2);
        Tensor square = Times.of(x, x);
        Tensor sum = Plus.of(Times.of(Tensor.of(Shape.of(1), 5f), weight(into, 3)), x);
        Tensor y = Plus.of(Times.of(sum, Tensor.of(Shape.of(1), 10f)), square);
        Gradients.Split split = Gradients.split(y, null, x);
        gradient(split.wanted().getFirst(), 10 + 4);
        split.weights();
        gradient(into, 50);
    }

    /// `x w`, whose writer says that it reads x alone.
    private record Weighted(Tensor x, Tensor w) implements Node {
        static Tensor of(Tensor x, Tensor w) {
            Tensor out = Tensor.empty(x.shape(), x.dtype());
            x.kernels().mul(out, x, w, 0f);
            return out.from(new Weighted(x, w));
        }

        @Override
        public List<Tensor> inputs() {
            return List.of(x, w);
        }

        @Override
        public void backward(Tensor dy, Gradients into) {
            into.add(x, (dx, beta) -> dx.kernels().mul(dx, dy, w, beta));
            into.add(w, (d, beta) -> d.kernels().mul(d, dy, x, beta), dy, x);
        }
    }

    @Test
    void whatTheSecondPartReadsIsFreedByIt() {
        Tensor into = Tensor.zeros(Shape.of(1), DType.F32);
        Tensor w = weight(into, 3);
        Tensor x = leaf(2);
        Tensor one = Times.of(x, x);
        Tensor two = Weighted.of(one, w);
        Tensor three = Times.of(two, two);
        Tensor y = Times.of(three, x);
        long before = session.usedBytes();
        Gradients.Split split = Gradients.split(y, null, x);
        assertTrue(one.storage().isAlive(), "the writer reads it");
        assertFalse(two.storage().isAlive(), "the writer does not");
        assertFalse(three.storage().isAlive());
        assertEquals(
                before - 2 * 256 + 2 * 256, session.usedBytes(), "two values went, two gradients came: of x, of two");
        split.weights();
        gradient(into, 2 * 12 * 2 * 4); // y = (x x w)^2 x
        assertFalse(one.storage().isAlive());
        assertEquals(before - 3 * 256 + 256, session.usedBytes(), "three values went, the gradient of x came");
        assertEquals(
                "tensor used after free: [1] F32 was freed by backward after its last use; keep() it to read it later",
                assertThrows(IllegalStateException.class, one::address).getMessage());
    }

    /// `w` in the memory of the result, which a writer that says nothing may read.
    private record Squared(Tensor w, Tensor result) implements Node {
        static Tensor of(Tensor w) {
            Tensor out = Tensor.empty(w.shape(), w.dtype());
            w.kernels().mul(out, w, w, 0f);
            return out.from(new Squared(w, out));
        }

        @Override
        public List<Tensor> inputs() {
            return List.of(w);
        }

        @Override
        public void backward(Tensor dy, Gradients into) {
            into.add(w, (d, beta) -> d.kernels().mul(d, dy, result, beta)); // not the gradient, but it shows the result
        }
    }

    @Test
    void aWriterThatSaysNothingMayReadAllOfItsNode() {
        Tensor into = Tensor.zeros(Shape.of(1), DType.F32);
        Tensor squared = Squared.of(weight(into, 3));
        Tensor y = Times.of(squared, leaf(2));
        Gradients.Split split = Gradients.split(y, null);
        assertTrue(squared.storage().isAlive());
        split.weights();
        gradient(into, 18);
        assertFalse(squared.storage().isAlive());
    }

    @Test
    void aSecondPartThatNeverRunsLeavesNothing() {
        Tensor into = Tensor.of(Shape.of(1), 7f);
        long before = session.usedBytes();
        try (var _ = Scope.open("micro-batch")) {
            Tensor x = leaf(2);
            Gradients.split(Times.of(Times.of(x, weight(into, 3)), x), null, x);
        }
        assertEquals(before, session.usedBytes());
        gradient(into, 7);
    }

    /// What is to be done after the weights comes after them in either case.
    @Test
    void whatFollowsTheWeightsIsPutOffWithThem() {
        List<String> seen = new ArrayList<>();
        Tensor into = Tensor.zeros(Shape.of(1), DType.F32);
        Tensor x = leaf(2);
        Tensor y = Weighted.of(After.of(x, () -> seen.add("after " + into.item())), weight(into, 3));
        Gradients.Split split = Gradients.split(y, null, x);
        assertEquals(List.of(), seen);
        split.weights();
        Gradients.of(Weighted.of(After.of(x, () -> seen.add("after " + into.item())), weight(into, 3)), null, x);
        assertEquals(List.of("after 2.0", "after 2.0"), seen);
    }

    private record After(Tensor x, Runnable action) implements Node {
        static Tensor of(Tensor x, Runnable action) {
            return x.from(new After(x, action));
        }

        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }

        @Override
        public void backward(Tensor dy, Gradients into) {
            into.pass(x, dy);
            into.then(action);
        }
    }

    /// Whoever may write into the gradient it is given must not be misled by readers who come later.
    @Test
    void aGradientThatIsReadLaterMayNotBeOverwritten() {
        Tensor into = Tensor.zeros(Shape.of(1), DType.F32);
        Tensor x = leaf(2);
        List<Boolean> may = new ArrayList<>();
        Tensor asked = Asks.of(x, may);
        Tensor w = weight(into, 3);
        Tensor two = Tensor.of(Shape.of(1), 2f);
        Gradients.of(Times.of(Plus.of(asked, w), two), null, x);
        Gradients.split(Times.of(Plus.of(Asks.of(x, may), w), two), null, x);
        assertEquals(List.of(true, false), may);
    }

    private record Asks(Tensor x, List<Boolean> may) implements Node {
        static Tensor of(Tensor x, List<Boolean> may) {
            Tensor out = Tensor.empty(x.shape(), x.dtype());
            x.kernels().axpby(out, 1f, x, 0f);
            return out.from(new Asks(x, may));
        }

        @Override
        public List<Tensor> inputs() {
            return List.of(x);
        }

        @Override
        public void backward(Tensor dy, Gradients into) {
            may.add(into.mayOverwrite(dy));
            into.pass(x, dy);
        }
    }
}
