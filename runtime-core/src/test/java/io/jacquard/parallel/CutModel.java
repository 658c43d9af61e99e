package io.jacquard.parallel;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.jacquard.group.Group;
import io.jacquard.group.SoloGroup;
import io.jacquard.nn.Init;
import io.jacquard.nn.Linear;
import io.jacquard.nn.Weights;
import io.jacquard.ops.Ops;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Graph;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// A small model that is cut by hand: an embedding, six residual blocks of norm, two linears and dropout, and a norm,
/// a head and a cross entropy at the end. Every rank holds all weights and uses those of its stages, so that the sum of
/// the ranks' gradients is that of the whole.
public final class CutModel {
    private static final int BLOCKS = 6;
    private static final int VOCABULARY = 29;
    private static final int WIDTH = 16;
    private static final int ROWS = 2;
    private static final int LENGTH = 5;
    private static final int STEPS = 2;
    private static final float EPSILON = 1e-5f;

    /// What is switched on.
    public record Features(boolean bf16, boolean recompute, boolean dropout, boolean captured) {
        /// Each with each.
        public static List<Features> all() {
            return IntStream.range(0, 16)
                    .mapToObj(i -> new Features((i & 1) != 0, (i & 2) != 0, (i & 4) != 0, (i & 8) != 0))
                    .toList();
        }

        /// The same numbers by the simplest way.
        public Features plain() {
            return new Features(bf16, false, dropout, false);
        }
    }

    /// Of all ranks together: the losses of each step's micro-batches, and its gradients.
    public record Result(List<float[]> losses, List<float[]> gradients) {
        /// Bit for bit.
        public void assertSame(Result expected) {
            for (int i = 0; i < STEPS; i++) {
                assertArrayEquals(expected.losses.get(i), losses.get(i), "losses of step " + i);
                assertArrayEquals(expected.gradients.get(i), gradients.get(i), "gradients of step " + i);
            }
        }
    }

    private final Session session;
    private final Group group;
    private final Features features;
    private final int microBatches;
    private final Weights weights = new Weights();
    private final Linear[] up = new Linear[BLOCKS];
    private final Linear[] down = new Linear[BLOCKS];
    private final Tensor tokens;
    private final Tensor labels;
    private final Tensor counters;
    private final Tensor losses;
    private final Tensor scale = Tensor.of(Shape.of(1), 0.1f);
    private int done;

    private CutModel(Session session, Group group, Features features, int microBatches) {
        this.session = session;
        this.group = group;
        this.features = features;
        this.microBatches = microBatches;
        weights.declare("tokens", Shape.of(VOCABULARY, WIDTH), Init.normal(0.5));
        weights.declare("positions", Shape.of(LENGTH, WIDTH), Init.normal(0.5));
        for (int b = 0; b < BLOCKS; b++) {
            norm(weights.in(b));
            up[b] = Linear.withBias(weights.in(b).in("up"), WIDTH, 4 * WIDTH, 0.2);
            down[b] = Linear.withBias(weights.in(b).in("down"), 4 * WIDTH, WIDTH, 0.2);
        }
        norm(weights.in("last"));
        weights.declare("head", Shape.of(VOCABULARY, WIDTH), Init.normal(0.3));
        weights.allocate(features.bf16 ? DType.BF16 : DType.F32, DType.F32, 7);
        tokens = Tensor.zeros(Shape.of(microBatches * ROWS, LENGTH), DType.I32);
        labels = Tensor.zeros(Shape.of(microBatches * ROWS, LENGTH), DType.I32);
        counters = Tensor.zeros(Shape.of(microBatches, 2), DType.I32);
        losses = Tensor.zeros(Shape.of(microBatches), DType.F32);
    }

    private static void norm(Weights w) {
        w.declare("weight", Shape.of(WIDTH), Init.ONES);
        w.declare("bias", Shape.of(WIDTH), Init.ZEROS);
    }

    private Tensor value(String name) {
        return weights.parameter(name).value();
    }

    // ---- the stages

    private Tensor block(int b, Tensor x, int microBatch) {
        Tensor n = Ops.layerNorm(x, null, value(b + ".weight"), value(b + ".bias"), EPSILON)
                .value();
        Tensor h = down[b].apply(up[b].gelu(n));
        if (features.dropout) {
            Tensor counter = counters.rows(microBatch, microBatch + 1).reshape(Shape.of(2));
            h = Ops.dropout(h, 0.2f, 11, counter, b);
        }
        return Ops.add(x, h);
    }

    private static Tensor rows(Tensor all, int microBatch) {
        return all.rows(microBatch * ROWS, (microBatch + 1) * ROWS);
    }

    /// Stage `index` of `count`: its share of the blocks, and what comes before the first and after the last.
    private Tensor stage(int index, int count, @Nullable Tensor x, int microBatch) {
        Tensor h = x == null ? Ops.embedding(value("tokens"), rows(tokens, microBatch), value("positions")) : x;
        for (int b = index * BLOCKS / count; b < (index + 1) * BLOCKS / count; b++) {
            int block = b;
            h = features.recompute ? Ops.recompute(in -> block(block, in, microBatch), h) : block(block, h, microBatch);
        }
        if (index < count - 1) {
            return h;
        }
        h = Ops.layerNorm(h, null, value("last.weight"), value("last.bias"), EPSILON)
                .value();
        Tensor loss = Ops.crossEntropy(Ops.linear(h, value("head"), null), rows(labels, microBatch), scale);
        Tensor slot = losses.rows(microBatch, microBatch + 1);
        slot.kernels().axpby(slot, 1f, loss, 0f);
        return loss;
    }

    private final class Part implements Stage {
        private final int index;
        private final int count;

        Part(int index, int count) {
            this.index = index;
            this.count = count;
        }

        @Override
        public Shape inputShape() {
            return Shape.of(ROWS, LENGTH, WIDTH);
        }

        @Override
        public DType inputDType() {
            return features.bf16 ? DType.BF16 : DType.F32;
        }

        @Override
        public Tensor forward(@Nullable Tensor x, int microBatch) {
            return stage(index, count, x, microBatch);
        }

        @Override
        public void backwardDone(int microBatch) {
            done++;
        }
    }

    // ---- a run

    private void feed(int step) {
        SplittableRandom random = new SplittableRandom(step);
        tokens.copyFrom(random.ints(tokens.size(), 0, VOCABULARY).toArray());
        labels.copyFrom(random.ints(labels.size(), -2, VOCABULARY).toArray());
        counters.copyFrom(IntStream.range(0, 2 * microBatches)
                .map(i -> i % 2 == 0 ? step : i / 2)
                .toArray());
        losses.copyFrom(new float[microBatches]);
    }

    private Result steps(Runnable step) {
        List<float[]> lossOfStep = new ArrayList<>();
        List<float[]> gradientOfStep = new ArrayList<>();
        for (int i = 0; i < STEPS; i++) {
            feed(i);
            step.run();
            group.allReduce(losses).join();
            group.allReduce(weights.gradients()).join();
            lossOfStep.add(losses.toFloats());
            float[] gradient = weights.gradients().toFloats();
            for (int k = 0; k < gradient.length; k++) {
                gradient[k] += 0f; // the sum over ranks makes -0 a 0
            }
            gradientOfStep.add(gradient);
        }
        return new Result(lossOfStep, gradientOfStep);
    }

    private Result run(Runnable backward) {
        Runnable step = () -> {
            weights.freshGradients();
            backward.run();
            weights.settleGradients();
        };
        long extent;
        try (Scope warmUp = Scope.openArena("warm-up", 8 << 20)) {
            feed(0);
            step.run();
            extent = warmUp.extentBytes();
        }
        if (!features.captured) {
            return steps(() -> {
                try (var _ = Scope.openArena("step", extent)) {
                    step.run();
                }
            });
        }
        long sums = 1 << 20;
        try (Scope _ = Scope.openArena("step", extent + sums);
                Graph graph = session.capture(step)) {
            return steps(graph::replay);
        }
    }

    /// This rank's part of two steps on the device of `session`; what it returns is of all ranks.
    public static Result train(Session session, Group group, Features features, Schedule schedule) {
        try (Scope _ = Scope.open("run")) {
            CutModel model = new CutModel(session, group, features, schedule.microBatches());
            List<Part> chunks = model.parts(schedule);
            long used = session.usedBytes();
            Result result;
            try (Pipeline pipeline = new Pipeline(group, schedule, chunks)) {
                result = model.run(pipeline::run);
            }
            int runs = features.captured ? 2 : 1 + STEPS;
            assertEquals(used, session.usedBytes(), "bytes in use");
            assertEquals(runs * schedule.microBatches() * chunks.size(), model.done, "calls of backwardDone");
            return result;
        }
    }

    private List<Part> parts(Schedule schedule) {
        return IntStream.range(0, schedule.chunks())
                .mapToObj(c -> new Part(c * group.size() + group.rank(), schedule.stages()))
                .toList();
    }

    /// The most bytes that a step of this rank has in use at once, weights not counted. The session must be new.
    public static long peakBytes(Session session, Group group, Schedule schedule) {
        try (Scope _ = Scope.open("run")) {
            Features plain = new Features(false, false, false, false);
            CutModel model = new CutModel(session, group, plain, schedule.microBatches());
            long used = session.usedBytes();
            assertEquals(used, session.peakBytes(), "nothing larger before");
            try (Pipeline pipeline = new Pipeline(group, schedule, model.parts(schedule))) {
                pipeline.run();
            }
            return session.peakBytes() - used;
        }
    }

    /// The whole model on one rank, one micro-batch after the other, without a pipeline.
    public static Result whole(Session session, Features features, int microBatches) {
        try (Scope _ = Scope.open("run")) {
            CutModel model = new CutModel(session, new SoloGroup(), features, microBatches);
            return model.run(() -> {
                for (int i = 0; i < microBatches; i++) {
                    try (var _ = Scope.open("micro-batch")) {
                        model.stage(0, 1, null, i).backward();
                    }
                }
            });
        }
    }
}
