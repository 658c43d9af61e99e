package io.jacquard.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.group.Group;
import io.jacquard.group.LocalGroup;
import io.jacquard.ops.GradientCases.Case;
import io.jacquard.ops.GradientCases.Input;
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
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The gradient of every operation against finite differences, element by element, on tiny shapes.
///
/// The function is `f = sum(weight * op(inputs))`, summed in double from the op's F32 result. Its derivative is the
/// five-point difference at steps h and h/2; inputs and steps are multiples of 2^-6, so no step is rounded. What the
/// gradient may be off by is derived: four times the difference of the two estimates (the truncation), plus the op's
/// own rounding, [#ULPS] ulps of each result, over the step. Operations of a group run on ranks that are threads, and
/// the function is of the inputs of all of them.
final class GradientCheckTest {
    private static final double STEP = 1.0 / 32;
    private static final double ULPS = 4;

    static List<Case> cases() {
        return GradientCases.cases();
    }

    /// One rank's part in the check of a case: all ranks do the same, each with its own inputs and gradients.
    private record Rank(Case c, Group group) {
        static void run(Case c, Consumer<Rank> work) {
            LocalGroup.run(c.ranks(), group -> {
                try (Session session = Session.open("cpu")) {
                    work.accept(new Rank(c, group));
                    assertEquals(0, session.usedBytes(), "bytes in use after the case");
                }
            });
        }

        /// Multiples of 1/16.
        private float[] numbers(int which, int n) {
            SplittableRandom random = new SplittableRandom(c.name().hashCode() + which);
            float[] values = new float[n];
            for (int i = 0; i < n; i++) {
                values[i] = (float) (Math.rint(16 * Math.clamp(random.nextGaussian(), -1.8, 1.8)) / 16);
            }
            return values;
        }

        /// Those of rank 0, then those of rank 1 ...; what is the same on all ranks is one array.
        List<float[]> inputs() {
            List<float[]> list = new ArrayList<>();
            for (int r = 0; r < c.ranks(); r++) {
                for (int i = 0; i < c.inputs().size(); i++) {
                    Input input = c.inputs().get(i);
                    boolean shared = r > 0 && input.same();
                    list.add(
                            shared
                                    ? list.get(i)
                                    : numbers(list.size(), (int) input.shape().elements()));
                }
            }
            return list;
        }

        boolean owns(int input) {
            int count = c.inputs().size();
            return c.inputs().get(input % count).same() || input / count == group.rank();
        }

        private List<Tensor> own(List<float[]> values) {
            int count = c.inputs().size();
            return IntStream.range(0, count)
                    .mapToObj(i -> Tensor.of(c.inputs().get(i).shape(), values.get(group.rank() * count + i)))
                    .toList();
        }

        Tensor apply(List<Tensor> inputs) {
            return c.operation().apply(group, inputs);
        }

        /// The result of all ranks.
        float[] result(List<float[]> values) {
            try (var _ = Scope.openWithoutGrad("difference")) {
                Tensor y = apply(own(values));
                Tensor all = Tensor.empty(Shape.of(c.ranks(), (int) y.size()), DType.F32);
                group.allGather(all, y).join();
                if (!c.sameResult()) {
                    return all.toFloats();
                }
                float[] first = all.rows(0, 1).toFloats();
                for (int r = 1; r < c.ranks(); r++) {
                    assertArrayEquals(first, all.rows(r, r + 1).toFloats(), "rank " + r + " has the result of rank 0");
                }
                return first;
            }
        }

        /// What makes the result a scalar.
        float[] weights(int n) {
            float[] w = numbers(99, n);
            for (int i = 0; i < n; i++) {
                w[i] += w[i] == 0 ? 1 : 0;
            }
            return w;
        }

        private Tensor gradientOf(Tensor y) {
            int n = (int) y.size();
            int first = c.sameResult() ? 0 : group.rank() * n;
            return Tensor.of(
                    y.shape(), Arrays.copyOfRange(weights(c.sameResult() ? n : c.ranks() * n), first, first + n));
        }

        /// The gradients that the operation's backward gives for leaves, by input.
        List<float[]> gradients(List<float[]> values) {
            try (var _ = Scope.open("gradient")) {
                List<Tensor> leaves = own(values).stream().map(Tensor::leaf).toList();
                Tensor y = apply(leaves);
                return Gradients.of(y, gradientOf(y), leaves.toArray(Tensor[]::new)).stream()
                        .map(Tensor::toFloats)
                        .toList();
            }
        }

        /// Those that it gives into sinks. Recompute's weights are not inputs of the graph outside: they need
        /// sinks.
        List<float[]> intoSinks(List<float[]> values, int times) {
            try (var _ = Scope.open("gradient")) {
                List<Tensor> sinks = new ArrayList<>();
                List<Tensor> leaves = new ArrayList<>();
                for (Tensor t : own(values)) {
                    Tensor sink = Tensor.empty(t.shape(), DType.F32);
                    sink.kernels().fill(sink, Float.NaN); // the first write must not read it
                    sinks.add(sink);
                    leaves.add(t.leaf(sink, "input " + leaves.size()));
                }
                for (int i = 0; i < times; i++) {
                    Tensor y = apply(leaves);
                    Gradients.of(y, gradientOf(y), new Tensor[0]);
                }
                return sinks.stream().map(Tensor::toFloats).toList();
            }
        }

        /// The weighted sum of the result with `step` added to element `i` of `one` of the values.
        private double f(List<float[]> values, float[] one, int i, double step) {
            float before = one[i];
            one[i] = (float) (before + step);
            float[] y = result(values);
            one[i] = before;
            float[] w = weights(y.length);
            double sum = 0;
            for (int k = 0; k < y.length; k++) {
                sum += (double) w[k] * y[k];
            }
            return sum;
        }

        double difference(List<float[]> values, float[] one, int i, double h) {
            return (8 * (f(values, one, i, h) - f(values, one, i, -h))
                            - (f(values, one, i, 2 * h) - f(values, one, i, -2 * h)))
                    / (12 * h);
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void agreesWithFiniteDifferences(Case c) {
        Rank.run(c, GradientCheckTest::agreesWithFiniteDifferences);
    }

    private static void agreesWithFiniteDifferences(Rank rank) {
        List<float[]> values = rank.inputs();
        float[] y = rank.result(values);
        float[] w = rank.weights(y.length);
        double rounding = 0;
        for (int k = 0; k < y.length; k++) {
            rounding += ULPS * Math.abs(w[k]) * Math.ulp(Math.max(Math.abs(y[k]), 0.25f)) / STEP;
        }
        List<float[]> gradients = rank.intoSinks(values, 1);
        for (int input = 0; input < values.size(); input++) {
            float[] one = values.get(input);
            for (int i = 0; i < one.length; i++) {
                double coarse = rank.difference(values, one, i, STEP);
                double fine = rank.difference(values, one, i, STEP / 2);
                double allowed = rounding + 4 * Math.abs(coarse - fine);
                assertTrue(
                        allowed < 0.02 * (1 + Math.abs(fine)),
                        "the estimate is too coarse to say anything: " + allowed);
                if (rank.owns(input)) {
                    float gradient = gradients.get(input % gradients.size())[i];
                    assertEquals(fine, gradient, allowed, "input " + input + ", element " + i);
                }
            }
        }
    }

    /// Leaves without sinks get the same bits; two passes into one sink give twice the gradient.
    @ParameterizedTest
    @MethodSource("cases")
    void allWaysToAGradientAgree(Case c) {
        Rank.run(c, GradientCheckTest::allWaysToAGradientAgree);
    }

    private static void allWaysToAGradientAgree(Rank rank) {
        List<float[]> values = rank.inputs();
        List<float[]> once = rank.intoSinks(values, 1);
        List<float[]> twice = rank.intoSinks(values, 2);
        List<float[]> wanted = rank.c.name().startsWith("recompute") ? once : rank.gradients(values);
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

    @Test
    void everyNodeHasACase() throws IOException, URISyntaxException, ClassNotFoundException {
        Set<Class<?>> covered = ConcurrentHashMap.newKeySet();
        for (Case c : cases()) {
            Rank.run(c, rank -> {
                try (var _ = Scope.open("coverage")) {
                    List<Tensor> leaves =
                            rank.own(rank.inputs()).stream().map(Tensor::leaf).toList();
                    covered.addAll(GraphNodes.of(rank.apply(leaves)));
                }
            });
        }
        Set<Class<?>> nodes = nodes();
        assertFalse(nodes.isEmpty());
        // what rounds has no gradient that differences could find: ScaledLinearTest
        assertEquals(
                Set.of(ScaledLinear.class, FakeQuantize.class),
                minus(nodes, covered),
                "operations without a gradient check");
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
