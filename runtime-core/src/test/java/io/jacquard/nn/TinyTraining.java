package io.jacquard.nn;

import io.jacquard.group.Group;
import io.jacquard.group.SoloGroup;
import io.jacquard.optim.AdamW;
import io.jacquard.optim.AdamWSettings;
import io.jacquard.optim.Optimizer;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Graph;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/// Three whole steps of a tiny model with AdamW and clipping, on any device. All that a step reads lies in tensors, so
/// that a step can be captured.
public final class TinyTraining {
    private static final int BATCH = 4;
    private static final int LENGTH = 13;
    private static final int VOCABULARY = 37;
    private static final int STEPS = 3;

    /// What is switched on.
    public record Features(
            String model, boolean recompute, boolean bf16, boolean captured, boolean split, boolean dropout) {
        public Features plain() {
            return new Features(model, false, bf16, false, split, dropout);
        }

        public Features whole() {
            return new Features(model, recompute, bf16, captured, false, dropout);
        }

        public Features f32() {
            return new Features(model, recompute, false, captured, split, dropout);
        }

        DType dtype() {
            return bf16 ? DType.BF16 : DType.F32;
        }

        int microBatches() {
            return split ? 2 : 1;
        }

        DecoderConfig config() {
            return new DecoderConfig(
                    model,
                    VOCABULARY,
                    16,
                    2,
                    4,
                    model.equals("gpt2") ? 4 : 2,
                    32,
                    48,
                    1e-5f,
                    10000f,
                    dropout ? 0.1f : 0f,
                    model.equals("gpt2"));
        }
    }

    /// What three steps leave: the first step's gradient, each step's loss, and the last weights.
    public record Result(float[] gradient, float[] losses, float[] weights) {}

    /// Each feature with each.
    public static List<Features> all() {
        List<Features> list = new ArrayList<>();
        for (String model : List.of("gpt2", "llama")) {
            for (int bits = 0; bits < 32; bits++) {
                boolean dropout = (bits & 16) != 0;
                if (!dropout || model.equals("gpt2")) {
                    list.add(new Features(
                            model, (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, dropout));
                }
            }
        }
        return list;
    }

    private final Session session;
    private final Features f;
    private final Group group;
    private final Weights weights;
    private final Decoder model;
    private final Optimizer optimizer;
    private final Tensor tokens = Tensor.zeros(Shape.of(BATCH, LENGTH), DType.I32);
    private final Tensor labels = Tensor.zeros(Shape.of(BATCH, LENGTH), DType.I32);
    private final Tensor scale = Tensor.zeros(Shape.of(1), DType.F32);
    private final Tensor counters;
    private final Tensor rate = Tensor.of(Shape.of(1), 1e-2f);
    private final Tensor losses;

    private TinyTraining(Session session, Features f, Group group) {
        this.session = session;
        this.f = f;
        this.group = group;
        weights = new Weights(group.size());
        model = Decoder.of(f.config(), weights);
        weights.allocate(f.dtype(), DType.F32, 5);
        optimizer = new AdamW(weights, AdamWSettings.DEFAULT, group);
        counters = Tensor.zeros(Shape.of(f.microBatches(), 2), DType.I32);
        losses = Tensor.zeros(Shape.of(f.microBatches()), DType.F32);
    }

    private Result train() {
        float[] lossOfStep = new float[STEPS];
        feed(0);
        long extent;
        try (Scope warmUp = Scope.openArena("warm-up", 8 << 20)) {
            gradients();
            group.allReduce(weights.gradients()).join();
            extent = warmUp.extentBytes();
        }
        float[] gradient = parameters(weights.gradients());
        try (var _ = Scope.openArena("steps", extent)) {
            if (f.captured) {
                try (Graph graph = session.capture(this::step)) {
                    steps(graph::replay, lossOfStep);
                }
            } else {
                steps(this::step, lossOfStep);
            }
        }
        return new Result(gradient, lossOfStep, parameters(weights.values()));
    }

    /// The parameters of a flat tensor, one after the other: the gaps between them depend on the number of ranks.
    private float[] parameters(Tensor flat) {
        float[] all = flat.toFloats();
        float[] dense = new float[Math.toIntExact(weights.count())];
        int at = 0;
        for (Parameter p : weights.parameters()) {
            int size = Math.toIntExact(p.shape().elements());
            System.arraycopy(all, Math.toIntExact(weights.offset(p)), dense, at, size);
            at += size;
        }
        return dense;
    }

    private void steps(Runnable step, float[] lossOfStep) {
        for (int i = 0; i < STEPS; i++) {
            feed(i);
            step.run();
            group.allReduce(losses).join();
            for (float loss : losses.toFloats()) {
                lossOfStep[i] += loss;
            }
        }
    }

    private void feed(int step) {
        SplittableRandom random = new SplittableRandom(step);
        tokens.copyFrom(random.ints(BATCH * LENGTH, 0, VOCABULARY).toArray());
        int[] l = random.ints(BATCH * LENGTH, -3, VOCABULARY).toArray();
        labels.copyFrom(l);
        scale.copyFrom(new float[] {1f / Arrays.stream(l).filter(v -> v >= 0).count()});
        int[] c = new int[2 * f.microBatches()];
        for (int i = 0; i < f.microBatches(); i++) {
            c[2 * i] = step;
            c[2 * i + 1] = i;
        }
        counters.copyFrom(c);
    }

    private void step() {
        gradients();
        optimizer.step(rate);
    }

    private void gradients() {
        weights.freshGradients();
        int rows = BATCH / f.microBatches() / group.size();
        for (int i = 0; i < f.microBatches(); i++) {
            int from = (i * group.size() + group.rank()) * rows;
            try (var _ = Scope.open("micro-batch")) {
                Tensor counter = counters.rows(i, i + 1).reshape(Shape.of(2));
                Pass pass = new Pass(f.recompute, 9, f.dropout ? counter : null);
                Tensor loss = model.loss(tokens.rows(from, from + rows), labels.rows(from, from + rows), scale, pass);
                Tensor slot = losses.rows(i, i + 1);
                slot.kernels().axpby(slot, 1f, loss, 0f);
                loss.backward();
            }
        }
        weights.settleGradients();
    }

    /// One training run on the device of `session`.
    public static Result train(Session session, Features f) {
        return train(session, f, new SoloGroup());
    }

    /// This rank's part of a run that divides the batch among the ranks of `group`; what it returns is of the
    /// whole.
    public static Result train(Session session, Features f, Group group) {
        try (var _ = Scope.open("run")) {
            return new TinyTraining(session, f, group).train();
        }
    }

    /// The arena that the gradients of one step need.
    static long extent(Session session, Features f) {
        try (var _ = Scope.open("run")) {
            TinyTraining run = new TinyTraining(session, f, new SoloGroup());
            run.feed(0);
            try (Scope arena = Scope.openArena("step", 8 << 20)) {
                run.gradients();
                return arena.extentBytes();
            }
        }
    }
}
