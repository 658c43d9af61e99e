package io.jacquard.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.GraphNodes;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The gradient of every operation against finite differences, element by element, on tiny shapes.
///
/// The function is `f = sum(weight * op(inputs))`, summed in double from the op's F32 result. Its derivative is the
/// five-point difference at steps h and h/2; inputs and steps are multiples of 2^-6, so no step is rounded. What the
/// gradient may be off by is derived: four times the difference of the two estimates (the truncation), plus the op's
/// own rounding, [#ULPS] ulps of each result, over the step.
@TestInstance(Lifecycle.PER_CLASS)
final class GradientCheckTest {
    private static final double STEP = 1.0 / 32;
    private static final double ULPS = 4;

    /// An operation on inputs of these shapes.
    record Case(String name, List<Shape> inputs, Operation operation) {
        @Override
        public String toString() {
            return name;
        }
    }

    interface Operation {
        Tensor apply(List<Tensor> inputs);
    }

    private Session session;
    private long usedAtStart;

    @BeforeAll
    void open() {
        session = Session.open("cpu");
        usedAtStart = session.usedBytes();
    }

    @AfterAll
    void close() {
        long used = session.usedBytes();
        session.close();
        assertEquals(usedAtStart, used, "bytes in use after all cases");
    }

    private static Case of(String name, Operation operation, int[]... shapes) {
        return new Case(name, Arrays.stream(shapes).map(Shape::of).toList(), operation);
    }

    private static int[] shape(int... dims) {
        return dims;
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
                of("linear, gelu", in -> Ops.linearGelu(in.get(0), in.get(1), null), shape(2, 4), shape(5, 4)),
                of(
                        "linear with bias, gelu",
                        in -> Ops.linearGelu(in.get(0), in.get(1), in.get(2)),
                        shape(3, 4),
                        shape(5, 4),
                        shape(5))));
        list.addAll(blocks());
        return list;
    }

    private static List<Case> blocks() {
        Operation block =
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

    private static Tensor both(Normed n) {
        return Ops.add(n.value(), Ops.mul(n.total(), n.total()));
    }

    private static Tensor ids() {
        return Tensor.of(Shape.of(2, 3), 1, 3, 1, 0, 1, 3);
    }

    /// Values of a case's inputs, and the weights that make its result a scalar.
    private static float[] numbers(Case c, int which, int n) {
        SplittableRandom random = new SplittableRandom(c.name.hashCode() + which);
        float[] values = new float[n];
        for (int i = 0; i < n; i++) {
            values[i] = (float) (Math.rint(16 * Math.clamp(random.nextGaussian(), -1.8, 1.8)) / 16);
        }
        return values;
    }

    private static List<float[]> inputs(Case c) {
        List<float[]> list = new ArrayList<>();
        for (Shape s : c.inputs) {
            list.add(numbers(c, list.size(), (int) s.elements()));
        }
        return list;
    }

    private static float[] weights(Case c, int n) {
        float[] w = numbers(c, 99, n);
        for (int i = 0; i < n; i++) {
            w[i] += w[i] == 0 ? 1 : 0;
        }
        return w;
    }

    private static List<Tensor> tensors(Case c, List<float[]> values) {
        List<Tensor> list = new ArrayList<>();
        for (float[] v : values) {
            list.add(Tensor.of(c.inputs.get(list.size()), v));
        }
        return list;
    }

    private static float[] result(Case c, List<float[]> values) {
        try (var _ = Scope.openWithoutGrad("difference")) {
            return c.operation.apply(tensors(c, values)).toFloats();
        }
    }

    private static double f(Case c, List<float[]> values, float[] values1, int i, double step) {
        float before = values1[i];
        values1[i] = (float) (before + step);
        float[] y = result(c, values);
        values1[i] = before;
        float[] w = weights(c, y.length);
        double sum = 0;
        for (int k = 0; k < y.length; k++) {
            sum += (double) w[k] * y[k];
        }
        return sum;
    }

    private static double difference(Case c, List<float[]> values, float[] one, int i, double h) {
        return (8 * (f(c, values, one, i, h) - f(c, values, one, i, -h))
                        - (f(c, values, one, i, 2 * h) - f(c, values, one, i, -2 * h)))
                / (12 * h);
    }

    /// The gradients that the operation's backward gives, by input.
    private static List<float[]> gradients(Case c, List<float[]> values) {
        try (var _ = Scope.open("gradient")) {
            List<Tensor> leaves = tensors(c, values).stream().map(Tensor::leaf).toList();
            Tensor y = c.operation.apply(leaves);
            Tensor dy = Tensor.of(y.shape(), weights(c, (int) y.size()));
            return Gradients.of(y, dy, leaves.toArray(Tensor[]::new)).stream()
                    .map(Tensor::toFloats)
                    .toList();
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void agreesWithFiniteDifferences(Case c) {
        List<float[]> values = inputs(c);
        float[] y = result(c, values);
        float[] w = weights(c, y.length);
        double rounding = 0;
        for (int k = 0; k < y.length; k++) {
            rounding += ULPS * Math.abs(w[k]) * Math.ulp(Math.max(Math.abs(y[k]), 0.25f)) / STEP;
        }
        List<float[]> gradients = visible(c, values);
        for (int input = 0; input < values.size(); input++) {
            float[] one = values.get(input);
            for (int i = 0; i < one.length; i++) {
                double coarse = difference(c, values, one, i, STEP);
                double fine = difference(c, values, one, i, STEP / 2);
                double allowed = rounding + 4 * Math.abs(coarse - fine);
                assertTrue(
                        allowed < 0.02 * (1 + Math.abs(fine)),
                        "the estimate is too coarse to say anything: " + allowed);
                assertEquals(fine, gradients.get(input)[i], allowed, "input " + input + ", element " + i);
            }
        }
    }

    /// Recompute's weights are not inputs of the graph outside: they need sinks. All cases go through sinks here.
    private static List<float[]> visible(Case c, List<float[]> values) {
        try (var _ = Scope.open("gradient")) {
            return intoSinks(c, values, 1);
        }
    }

    private static List<float[]> intoSinks(Case c, List<float[]> values, int times) {
        List<Tensor> sinks = new ArrayList<>();
        List<Tensor> leaves = new ArrayList<>();
        for (Tensor t : tensors(c, values)) {
            Tensor sink = Tensor.empty(t.shape(), DType.F32);
            sink.kernels().fill(sink, Float.NaN); // the first write must not read it
            sinks.add(sink);
            leaves.add(t.leaf(sink, "input " + leaves.size()));
        }
        for (int i = 0; i < times; i++) {
            Tensor y = c.operation.apply(leaves);
            Gradients.of(y, Tensor.of(y.shape(), weights(c, (int) y.size())), new Tensor[0]);
        }
        return sinks.stream().map(Tensor::toFloats).toList();
    }

    /// Leaves without sinks get the same bits; two passes into one sink give twice the gradient.
    @ParameterizedTest
    @MethodSource("cases")
    void allWaysToAGradientAgree(Case c) {
        List<float[]> values = inputs(c);
        try (var _ = Scope.open("ways")) {
            List<float[]> once = intoSinks(c, values, 1);
            List<float[]> twice = intoSinks(c, values, 2);
            List<float[]> wanted = c.name.startsWith("recompute") ? once : gradients(c, values);
            for (int input = 0; input < once.size(); input++) {
                assertArrayEquals(once.get(input), wanted.get(input), "input " + input);
                float largest = 0;
                for (float g : once.get(input)) {
                    largest = Math.max(largest, Math.abs(g));
                }
                for (int i = 0; i < once.get(input).length; i++) {
                    // the second pass adds in another order
                    assertEquals(2 * once.get(input)[i], twice.get(input)[i], 8 * Math.ulp(2 * largest));
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void leavesNothingBehind(Case c) {
        long before = session.usedBytes();
        visible(c, inputs(c));
        assertEquals(before, session.usedBytes());
    }

    @Test
    void everyNodeHasACase() throws IOException, URISyntaxException, ClassNotFoundException {
        Set<Class<?>> covered = new HashSet<>();
        try (var _ = Scope.open("coverage")) {
            for (Case c : cases()) {
                List<Tensor> leaves =
                        tensors(c, inputs(c)).stream().map(Tensor::leaf).toList();
                covered.addAll(GraphNodes.of(c.operation.apply(leaves)));
            }
        }
        Set<Class<?>> nodes = nodes();
        assertFalse(nodes.isEmpty());
        assertEquals(Set.of(), minus(nodes, covered), "operations without a gradient check");
    }

    private static Set<Class<?>> minus(Set<Class<?>> all, Set<Class<?>> some) {
        Set<Class<?>> rest = new HashSet<>(all);
        rest.removeAll(some);
        return rest;
    }

    /// All records of the package that are nodes.
    private static Set<Class<?>> nodes() throws IOException, URISyntaxException, ClassNotFoundException {
        Path classes = Path.of(
                Ops.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        Set<Class<?>> nodes = new HashSet<>();
        try (Stream<Path> files = Files.list(classes.resolve("io/jacquard/ops"))) {
            for (Path file : files.filter(p -> p.toString().endsWith(".class")).toList()) {
                String name = file.getFileName().toString().replace(".class", "");
                Class<?> type = Class.forName("io.jacquard.ops." + name);
                if (Node.class.isAssignableFrom(type) && !type.isInterface()) {
                    nodes.add(type);
                }
            }
        }
        return nodes;
    }
}
