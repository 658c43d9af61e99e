package io.jacquard.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class WeightsTest {
    private static final DecoderConfig CONFIG = DecoderConfig.llama(37, 16, 2, 4, 2, 32, 48);
    private Session session;

    @BeforeEach
    void open() {
        session = Session.open("cpu");
    }

    @AfterEach
    void close() {
        session.close();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 8})
    void segmentsCoverTheWeightsAndDivide(int shards) {
        Weights weights = new Weights(shards);
        Decoder.of(CONFIG, weights);
        List<Weights.Segment> segments = weights.segments();
        assertEquals(
                List.of("embedding", "copies", "layers.0", "layers.1", "head"),
                segments.stream().map(Weights.Segment::name).toList());
        long end = 0;
        for (Weights.Segment s : segments) {
            assertEquals(end, s.offset());
            assertEquals(0, s.elements() % ((long) shards * Weights.ALIGNMENT), s.toString());
            end += s.elements();
        }
        weights.allocate(DType.F32, DType.F32, 1);
        assertEquals(end, weights.values().size());
        assertEquals(end, weights.gradients().size());
        for (Parameter p : weights.parameters()) {
            assertEquals(
                    1, segments.stream().filter(s -> s.holds(weights.offset(p))).count(), p.toString());
        }
    }

    /// A model whose segments lie in allocations of their own computes the same bits as one in a single piece.
    @Test
    void segmentsInMemoryOfTheirOwnComputeTheSame() {
        Weights whole = new Weights();
        Decoder a = Decoder.of(CONFIG, whole);
        whole.allocate(DType.F32, DType.F32, 7);
        Weights parts = new Weights(3);
        Decoder b = Decoder.of(CONFIG, parts);
        for (Weights.Segment s : parts.segments()) {
            Shape shape = Shape.of((int) s.elements());
            Tensor.zeros(Shape.of(100), DType.F32); // a gap between them
            parts.bind(s, Tensor.zeros(shape, DType.F32), Tensor.zeros(shape, DType.F32));
            parts.initialise(s, 7);
        }
        assertEquals(gradients(a), gradients(b));
        String message =
                assertThrows(IllegalStateException.class, parts::values).getMessage();
        assertEquals("weights: no memory yet; call allocate() after building the model", message);
    }

    /// Memory that comes and goes: bound to other memory with the same values, a segment goes on as before.
    @Test
    void aSegmentCanBeBoundAgain() {
        Weights weights = new Weights();
        Decoder model = Decoder.of(CONFIG, weights);
        weights.allocate(DType.F32, DType.F32, 7);
        List<String> expected = gradients(model);
        Weights.Segment s = weights.segments().get(2);
        Shape shape = Shape.of((int) s.elements());
        try (var _ = Scope.open("gathered")) {
            Tensor copy =
                    Tensor.of(shape, weights.values().slice(s.offset(), shape).toFloats());
            weights.bind(s, copy, Tensor.zeros(shape, DType.F32));
            assertEquals(expected, gradients(model));
        }
        weights.bind(
                s,
                weights.values().slice(s.offset(), shape),
                weights.gradients().slice(s.offset(), shape));
        assertEquals(expected, gradients(model));
    }

    private static List<String> gradients(Decoder model) {
        model.weights().freshGradients();
        try (var _ = Scope.open("step")) {
            Tensor x = Tensor.of(Shape.of(1, 3), 1, 2, 3);
            model.loss(x, x, Tensor.of(Shape.of(1), 0.5f), Pass.PLAIN).backward();
            model.weights().settleGradients();
        }
        return model.weights().parameters().stream()
                .map(p -> p.name() + Arrays.toString(p.gradient().toFloats()))
                .toList();
    }

    /// A segment can be taken up again; its parameters follow one another all the same.
    @Test
    void segmentsAreTakenUpAgain() {
        Weights weights = new Weights();
        Weights a = weights.segment("a").in("x");
        Parameter first = a.declare("1", Shape.of(3), Init.ONES);
        Parameter other = weights.segment("b").declare("2", Shape.of(300), Init.ONES);
        Parameter second = weights.segment("a").declare("3", Shape.of(2), Init.ONES);
        assertEquals("['a' at 0 of 512, 'b' at 512 of 512]", weights.segments().toString());
        assertEquals(
                List.of(first, second), weights.parametersOf(weights.segments().getFirst()));
        assertEquals(List.of(first, other, second), weights.parameters());
        assertEquals(256, weights.offset(second));
        assertEquals(512, weights.offset(other));
        assertEquals("x.1", first.name());
    }

    @Test
    void whatIsDeclaredBeforeTheFirstSegmentIsOne() {
        Weights weights = new Weights(2);
        weights.declare("a", Shape.of(3), Init.ONES);
        assertEquals("['' at 0 of 512]", weights.segments().toString());
        weights.segment("rest").declare("b", Shape.of(513), Init.ONES);
        assertEquals(
                "['' at 0 of 512, 'rest' at 512 of 1024]", weights.segments().toString());
        weights.allocate(DType.F32, DType.F32, 0);
        float[] expected = new float[1536];
        Arrays.fill(expected, 0, 3, 1f);
        Arrays.fill(expected, 512, 512 + 513, 1f);
        assertArrayEquals(expected, weights.values().toFloats());
    }

    /// Slices hold the values that the whole has there, rows or columns.
    @Test
    void slicesOfTheInitialValues() {
        Shape logical = Shape.of(5, 4);
        Weights one = new Weights();
        Parameter whole = one.declare("w", logical, Init.normal(1));
        one.allocate(DType.F32, DType.F32, 3);
        float[] all = whole.value().toFloats();
        Weights weights = new Weights();
        List<Slice.Range> rows = List.of(new Slice.Range(3, 5), new Slice.Range(0, 1));
        Parameter p = weights.declare("w", logical, List.of(new Slice(0, rows)), 0, Init.normal(1));
        weights.allocate(DType.F32, DType.F32, 3);
        assertEquals(Shape.of(3, 4), p.shape());
        assertEquals(logical, p.logicalShape());
        float[] expected = new float[12];
        System.arraycopy(all, 12, expected, 0, 8);
        System.arraycopy(all, 0, expected, 8, 4);
        assertArrayEquals(expected, p.value().toFloats());
        assertEquals(12, weights.count());
        Weights other = new Weights();
        Slice columns = new Slice(1, List.of(new Slice.Range(1, 2), new Slice.Range(3, 4)));
        Parameter q = other.declare("w", logical, List.of(columns), 0, Init.normal(1));
        other.allocate(DType.F32, DType.F32, 3);
        float[] some = q.value().toFloats();
        for (int r = 0; r < 5; r++) {
            assertEquals(all[4 * r + 1], some[2 * r]);
            assertEquals(all[4 * r + 3], some[2 * r + 1]);
        }
    }

    @Test
    void messages() {
        Slice far = new Slice(1, List.of(new Slice.Range(0, 3)));
        assertEquals(
                "slice: Slice[dim=1, ranges=[Range[from=0, to=3]]] is not inside [4, 2]",
                assertThrows(IllegalArgumentException.class, () -> far.of(Shape.of(4, 2)))
                        .getMessage());
        assertEquals(
                "slice: from 3 to 2 is not a range",
                assertThrows(IllegalArgumentException.class, () -> new Slice.Range(3, 2))
                        .getMessage());
        assertEquals(
                "weights: 0 shards; expected at least 1",
                assertThrows(IllegalArgumentException.class, () -> new Weights(0))
                        .getMessage());
        Weights weights = new Weights();
        weights.segment("s").declare("a", Shape.of(3), Init.ONES);
        Tensor t = Tensor.zeros(Shape.of(3), DType.F32);
        Weights.Segment s = weights.segments().getFirst();
        assertEquals(
                "weights: segment 's' of 256 elements cannot be bound to values [3] F32 and gradients [3] F32",
                assertThrows(IllegalArgumentException.class, () -> weights.bind(s, t, t))
                        .getMessage());
        Weights more = new Weights();
        more.segment("s").declare("a", Shape.of(300), Init.ONES);
        assertEquals(
                "weights: segment 's' at 0 of 512 is not among ['s' at 0 of 256]",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> weights.bind(more.segments().getFirst(), t, t))
                        .getMessage());
        weights.allocate(DType.F32, DType.F32, 0);
        assertEquals(
                "weights: 'late' is declared after allocate()",
                assertThrows(IllegalStateException.class, () -> weights.declare("late", Shape.of(1), Init.ZEROS))
                        .getMessage());
    }
}
