package io.jacquard.parallel;

import io.jacquard.group.Group;
import io.jacquard.io.WholeParameters;
import io.jacquard.nn.DecoderConfig;
import io.jacquard.optim.AdamW;
import io.jacquard.optim.AdamWSettings;
import io.jacquard.optim.Shards;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Graph;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/// A short training of a tiny model on any mesh and device, with clipping, accumulation and AdamW.
public final class MeshRun {
    private static final int CONTEXT = 18;
    private static final int VOCABULARY = 37;

    /// What is trained, and how the ranks share it.
    ///
    /// @param model `gpt2` (5 heads, dropout, tied) or `llama` (6 heads on 3 key/value heads, not tied)
    /// @param schedule of the pipeline: `gpipe`, `1f1b` or `zero-bubble`
    public record Setup(
            String model,
            Topology topology,
            int zero,
            String schedule,
            int chunks,
            boolean bf16,
            boolean recompute,
            boolean graph,
            int rows,
            int microBatches) {
        /// The same training by one rank.
        public Setup alone() {
            return new Setup(model, Topology.ONE, 1, "1f1b", 1, bf16, false, false, rows, microBatches);
        }

        /// The same in F32.
        public Setup inF32() {
            return new Setup(model, topology, zero, schedule, chunks, false, recompute, graph, rows, microBatches);
        }

        DType dtype() {
            return bf16 ? DType.BF16 : DType.F32;
        }

        DecoderConfig config() {
            return model.equals("gpt2")
                    ? new DecoderConfig("gpt2", VOCABULARY, CONTEXT, 4, 5, 5, 40, 51, 1e-5f, 1e4f, 0.1f, true)
                    : new DecoderConfig("llama", VOCABULARY, CONTEXT, 4, 6, 3, 48, 51, 1e-5f, 1e4f, 0f, false);
        }

        private Schedule schedule(BatchShare share) {
            int n = share.microBatches();
            int stages = topology.pipeline();
            return switch (schedule) {
                case "gpipe" -> Schedule.gpipe(stages, n);
                case "zero-bubble" -> Schedule.zeroBubble(stages, n);
                default ->
                    chunks > 1 ? Schedule.interleaved(stages, n, chunks) : Schedule.oneForwardOneBackward(stages, n);
            };
        }
    }

    /// What came of it.
    ///
    /// @param losses of each step
    /// @param gradients whole parameters' gradients by name, of each step, before clipping
    /// @param validation losses of single tokens afterwards
    public record Result(float[] losses, List<Map<String, float[]>> gradients, float[] validation) {}

    private final Setup setup;
    private final Result result;

    /// Shared by the ranks of a run.
    public MeshRun(Setup setup, int steps) {
        this.setup = setup;
        List<Map<String, float[]>> gradients = new ArrayList<>();
        for (int i = 0; i < steps; i++) {
            gradients.add(new ConcurrentHashMap<>());
        }
        result = new Result(new float[steps], gradients, new float[2 * CONTEXT]);
    }

    /// What the ranks found, when all are done.
    public Result result() {
        return result;
    }

    /// This rank's part, on the device of the current session.
    public void run(Group world) {
        try (var _ = Scope.open("run");
                Mesh mesh = new Mesh(world, setup.topology)) {
            BatchShare share = BatchShare.of(setup.rows, setup.microBatches, mesh.data());
            var plan = new MeshModel.Plan(
                    setup.chunks, new Shards.Plan(setup.zero, share.microBatches()), setup.dtype(), DType.F32);
            MeshModel model = MeshModel.of(setup.config(), mesh, plan, 5);
            boolean dropout = setup.config().dropout() > 0;
            StepInputs inputs = new StepInputs(share, CONTEXT, setup.recompute, dropout, 9);
            try (Pipeline pipeline = new Pipeline(mesh.pipeline(), setup.schedule(share), model.stages(inputs))) {
                train(world, model, inputs, pipeline);
            }
            validate(model, world);
        }
    }

    private void train(Group world, MeshModel model, StepInputs inputs, Pipeline pipeline) {
        AdamW optimizer = new AdamW(model.shards(), AdamWSettings.DEFAULT);
        Tensor rate = Tensor.of(Shape.of(1), 1e-3f);
        Tensor slice = optimizer.state().get("m");
        Tensor gradients = Tensor.zeros(slice.shape(), DType.F32);
        Tensor losses = Tensor.zeros(inputs.losses().shape(), DType.F32);
        Runnable step = () -> {
            pipeline.run();
            optimizer.step(rate);
            model.shards().gradients(gradients);
            losses.kernels().cast(losses, inputs.losses());
            world.allReduce(losses).join();
        };
        steps(model, inputs, step, gradients, losses);
    }

    private void steps(MeshModel model, StepInputs inputs, Runnable step, Tensor gradients, Tensor losses) {
        Scope arena = Scope.openArena("steps", 32 << 20);
        Graph graph = null;
        for (int i = 0; i < result.losses.length; i++) {
            feed(i, inputs.share(), inputs);
            model.shards().begin();
            if (!setup.graph || i == 0) {
                try (var _ = Scope.openArena("step", 16 << 20)) {
                    step.run();
                }
            } else {
                if (graph == null) {
                    graph = Session.current().capture(step);
                }
                graph.replay();
            }
            keep(i, model, gradients, losses);
        }
        if (graph != null) {
            graph.close();
        }
        arena.close();
    }

    private void keep(int step, MeshModel model, Tensor gradients, Tensor losses) {
        try (Arena host = Arena.ofConfined()) {
            var whole = new WholeParameters(
                    model.shards(), model.decoder().partition().tensor());
            whole.state(gradients, host)
                    .forEach(w -> result.gradients
                            .get(step)
                            .put(w.parameter().name(), w.data().toArray(ValueLayout.JAVA_FLOAT)));
        }
        if (model.mesh().world().rank() == 0) {
            for (float loss : losses.toFloats()) {
                result.losses[step] += loss;
            }
        }
    }

    /// The data of a step are those of one rank, in its order, of which each replica takes its share.
    private void feed(int step, BatchShare share, StepInputs inputs) {
        SplittableRandom random = new SplittableRandom(step);
        int all = setup.rows * setup.microBatches * CONTEXT;
        int[] tokens = random.ints(all, 0, VOCABULARY).toArray();
        int[] labels = random.ints(all, -3, VOCABULARY).toArray();
        int size = share.rows() * CONTEXT;
        int[] t = new int[share.microBatches() * size];
        int[] l = new int[t.length];
        for (int m = 0; m < share.microBatches(); m++) {
            int from = (share.number(m) * setup.rows + share.sequencesBefore()) * CONTEXT;
            System.arraycopy(tokens, from, t, m * size, size);
            System.arraycopy(labels, from, l, m * size, size);
        }
        long valid = Arrays.stream(labels).filter(v -> v >= 0).count();
        inputs.set(step, t, l, valid);
    }

    private void validate(MeshModel model, Group world) {
        model.shards().begin();
        SplittableRandom random = new SplittableRandom(99);
        Shape shape = Shape.of(2, CONTEXT);
        try (var _ = Scope.openWithoutGrad("validation")) {
            Tensor t = Tensor.of(shape, random.ints(2 * CONTEXT, 0, VOCABULARY).toArray());
            float[] losses = model.tokenLosses(t, t).toFloats();
            if (world.rank() == 0) {
                System.arraycopy(losses, 0, result.validation, 0, losses.length);
            }
        }
    }

    /// The largest differences of two runs, relative.
    ///
    /// @param loss of the losses of all steps
    /// @param gradient of the gradients of all steps, by their norms
    /// @param validation of the losses of single tokens
    public record Difference(double loss, double gradient, double validation) {}

    /// How far `b` is from `a`.
    public static Difference difference(Result a, Result b) {
        double loss = 0;
        double gradient = 0;
        double validation = 0;
        for (int i = 0; i < a.losses.length; i++) {
            loss = Math.max(loss, Math.abs(a.losses[i] - b.losses[i]) / a.losses[i]);
            gradient = Math.max(gradient, distance(a.gradients.get(i), b.gradients.get(i)));
        }
        for (int i = 0; i < a.validation.length; i++) {
            validation = Math.max(validation, Math.abs(a.validation[i] - b.validation[i]) / a.validation[i]);
        }
        return new Difference(loss, gradient, validation);
    }

    private static double distance(Map<String, float[]> a, Map<String, float[]> b) {
        if (!a.keySet().equals(b.keySet())) {
            throw new AssertionError("parameters " + new TreeMap<>(a).keySet() + " and " + new TreeMap<>(b).keySet());
        }
        double difference = 0;
        double norm = 0;
        for (String name : a.keySet()) {
            float[] x = a.get(name);
            float[] y = b.get(name);
            for (int i = 0; i < x.length; i++) {
                difference += Math.pow(x[i] - y[i], 2);
                norm += Math.pow(x[i], 2);
            }
        }
        return Math.sqrt(difference / norm);
    }
}
