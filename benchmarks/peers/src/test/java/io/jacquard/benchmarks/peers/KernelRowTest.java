package io.jacquard.benchmarks.peers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.benchmarks.suite.Deviation;
import io.jacquard.benchmarks.suite.Lines;
import io.jacquard.benchmarks.suite.Row;
import io.jacquard.benchmarks.suite.Rows;
import io.jacquard.tensor.DType;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// What the peers' outputs are held against.
class KernelRowTest {
    static Stream<KernelRow> rows() {
        return Rows.of(Rows.Scale.TINY, "f32").stream()
                .filter(row -> !row.isStep() && !isLinear(row))
                .map(KernelRowTest::of);
    }

    private static boolean isLinear(Row row) {
        return row.spec().get("kind").equals("linear");
    }

    private static KernelRow of(Row row) {
        return KernelRow.of(Lines.JSON.valueToTree(row.spec()));
    }

    @Test
    void linearLayersAreRefused() {
        for (Row row : Rows.of(Rows.Scale.TINY, "f32").stream()
                .filter(KernelRowTest::isLinear)
                .toList()) {
            assertEquals(
                    "rows of linear layers, in any precision, are for PyTorch alone",
                    assertThrows(UnsupportedOperationException.class, () -> of(row))
                            .getMessage());
        }
    }

    private static KernelRow named(String name) {
        return Rows.of(Rows.Scale.TINY, "f32").stream()
                .filter(row -> row.name().startsWith(name))
                .map(KernelRowTest::of)
                .findFirst()
                .orElseThrow();
    }

    /// Shapes of the outputs, by the way of an error that tells what is expected.
    private static long[][] shapes(KernelRow row) {
        return switch (row) {
            case MatmulRow r -> {
                long[] shape = switch (r.form()) {
                    case FORWARD -> new long[] {r.first().rows(), r.second().rows()};
                    case INPUT_GRADIENT ->
                        new long[] {r.first().rows(), r.second().columns()};
                    case WEIGHT_GRADIENT ->
                        new long[] {r.first().columns(), r.second().columns()};
                };
                yield r.gelu() == null ? new long[][] {shape} : new long[][] {shape, shape};
            }
            case AttentionRow r -> {
                long[] q = {r.batch(), r.heads(), r.time(), r.headDim()};
                long[] k = {r.batch(), r.kvHeads(), r.time(), r.headDim()};
                yield r.dy() == null ? new long[][] {q} : new long[][] {q, k, k};
            }
            case NormRow r -> {
                long[] x = r.x().dims();
                long[] w = r.weight().dims();
                yield r.dy() == null
                        ? r.residual() == null ? new long[][] {x} : new long[][] {x, x}
                        : r.bias() == null ? new long[][] {x, w} : new long[][] {x, w, w};
            }
            case ActivationRow r -> {
                long width = r.gelu() == null && r.dy() == null ? r.x().columns() / 2 : r.x().columns();
                yield new long[][] {{r.x().rows(), width}};
            }
            case CrossEntropyRow r ->
                new long[][] {{r.logits().rows()}, r.logits().dims()};
            case EmbeddingGradientRow r -> new long[][] {{r.vocabulary(), r.dy().columns()}};
            case MovingRow r -> {
                long[] d = r.x().dims();
                yield new long[][] {r.function() == MovingRow.Function.PERMUTE ? new long[] {d[0], d[2], d[1], d[3]} : d
                };
            }
            case AdamWRow r -> new long[][] {r.weights().dims()};
        };
    }

    private static List<Floats> filled(KernelRow row, float value, int but, float other) {
        long[][] shapes = shapes(row);
        return Stream.iterate(0, i -> i + 1)
                .limit(shapes.length)
                .map(i -> {
                    float[] values =
                            new float[Math.toIntExact(Arrays.stream(shapes[i]).reduce(1, Math::multiplyExact))];
                    Arrays.fill(values, i == but ? other : value);
                    return new Floats(values, shapes[i]);
                })
                .toList();
    }

    @ParameterizedTest
    @MethodSource("rows")
    void anOutputThatIsNotWrittenIsWrong(KernelRow row) {
        double allowed = Deviation.allowed(DType.F32);
        assertTrue(row.error(filled(row, 0, -1, 0)) > allowed);
        for (int i = 0; i < row.outputs(); i++) {
            assertEquals(Double.POSITIVE_INFINITY, row.error(filled(row, 0, i, Float.NaN)), "output " + i);
        }
    }

    @Test
    void theLastElementCounts() {
        MovingRow row = (MovingRow) named("copy");
        float[] values = row.x().values().clone();
        assertEquals(0, row.error(List.of(new Floats(values, row.x().dims()))));
        values[values.length - 1] += 0.01f;
        assertTrue(row.error(List.of(new Floats(values, row.x().dims()))) > Deviation.allowed(DType.F32));
    }

    @Test
    void missingOutputsAndOtherShapesAreRefused() {
        KernelRow row = named("cross entropy");
        assertEquals(
                "the peer gave 1 outputs, 2 are expected",
                assertThrows(
                                IllegalStateException.class,
                                () -> row.error(filled(row, 0, -1, 0).subList(0, 1)))
                        .getMessage());
        assertEquals(
                "the peer gave an output of shape [8, 256], expected [8]",
                assertThrows(
                                IllegalStateException.class,
                                () -> row.error(filled(row, 0, -1, 0).reversed()))
                        .getMessage());
        assertEquals(
                "3 values do not make a tensor of shape [2, 2]",
                assertThrows(IllegalArgumentException.class, () -> new Floats(new float[3], 2, 2))
                        .getMessage());
    }

    @Test
    void geluIsTheOneOfItsName() {
        // tables of the normal distribution: 0.841344746 below 1, 0.975002105 below 1.96
        assertEquals(0.841344746, Gelu.ERF.of(1), 1e-9);
        assertEquals(-1.96 * 0.024997895, Gelu.ERF.of(-1.96), 1e-9);
        assertEquals(9, Gelu.ERF.of(9));
        for (double x : new double[] {-3, -1, -0.1, 0, 0.5, 2, 5}) {
            assertEquals(Gelu.ERF.of(x), Gelu.TANH.of(x), 6e-4);
            for (Gelu gelu : Gelu.values()) {
                assertEquals((gelu.of(x + 1e-6) - gelu.of(x - 1e-6)) / 2e-6, gelu.slope(x), 1e-8);
            }
        }
    }
}
