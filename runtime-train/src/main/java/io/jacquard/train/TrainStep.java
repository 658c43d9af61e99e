package io.jacquard.train;

import io.jacquard.data.Batches;
import io.jacquard.ops.DelayedScales;
import io.jacquard.optim.Optimizer;
import io.jacquard.parallel.BatchShare;
import io.jacquard.parallel.MeshModel;
import io.jacquard.parallel.Pipeline;
import io.jacquard.parallel.Schedule;
import io.jacquard.parallel.StepInputs;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.DeviceOutOfMemoryException;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Graph;
import io.jacquard.tensor.spi.Readback;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// One optimizer step on the device: forward and backward of each micro-batch, then the update.
///
/// What changes from step to step lies in tensors that stay where they are, so that the step can be recorded once and
/// replayed. Nothing waits for the device but [Launched#result].
final class TrainStep implements AutoCloseable {
    /// What ranks tell each other with a step: each number is the sum over them.
    private static final int SIGNALS = 2;

    /// What came of a step, the same on all ranks.
    ///
    /// @param loss mean over the valid tokens of the step
    /// @param finite false if the optimizer refused the step
    /// @param isInterrupted whether some rank was asked to stop before it
    /// @param isTimeUp whether rank 0's time was up before it
    record Result(float loss, float gradientNorm, boolean finite, boolean isInterrupted, boolean isTimeUp) {}

    private final MeshModel model;
    private final Optimizer optimizer;
    private final Batches batches;
    private final Pipeline pipeline;
    private final StepInputs inputs;
    private final boolean graph;
    private final @Nullable DelayedScales delayed;

    private final int[] hostTokens;
    private final int[] hostLabels;
    private long loaded;
    private final Tensor learningRate;
    private final Tensor signals;
    private final Tensor report;

    private long warmUps;
    private @Nullable Scope arena;
    private @Nullable Graph recorded;

    /// Allocates the inputs in the current scope.
    TrainStep(MeshModel model, Optimizer optimizer, Batches batches, TrainConfig config) {
        this.model = model;
        this.optimizer = optimizer;
        this.batches = batches;
        delayed = model.decoder().weights().delayedScales();
        TrainConfig.Training settings = config.training();
        graph = settings.graph() && !Session.current().isDebugging();
        BatchShare share = share(config, model);
        int context = config.model().context();
        inputs = new StepInputs(
                share, context, settings.recompute(), config.model().dropout() > 0, settings.seed());
        pipeline = new Pipeline(model.mesh().pipeline(), schedule(config.parallel(), share), model.stages(inputs));
        hostTokens = new int[share.microBatches() * share.rows() * context];
        hostLabels = new int[hostTokens.length];
        learningRate = Tensor.empty(Shape.of(1), DType.F32).named("learning rate");
        signals = Tensor.zeros(Shape.of(SIGNALS), DType.F32).named("signals");
        report = Tensor.zeros(Shape.of(share.microBatches() + SIGNALS), DType.F32)
                .named("report");
    }

    static BatchShare share(TrainConfig config, MeshModel model) {
        return BatchShare.of(
                config.training().microBatch(),
                config.training().accumulation(),
                model.mesh().data());
    }

    private static Schedule schedule(TrainConfig.Parallel p, BatchShare share) {
        int stages = p.pipeline();
        int n = share.microBatches();
        return switch (p.schedule()) {
            case GPIPE -> Schedule.gpipe(stages, n);
            case _1F1B ->
                p.chunks() > 1
                        ? Schedule.interleaved(stages, n, p.chunks())
                        : Schedule.oneForwardOneBackward(stages, n);
            case ZERO_BUBBLE -> Schedule.zeroBubble(stages, n);
        };
    }

    /// Reads the data of a step into host memory.
    void load(long step) {
        BatchShare share = inputs.share();
        Batches.Layout layout = share.layout();
        int size = hostTokens.length / share.microBatches();
        int[] t = new int[size];
        int[] l = new int[size];
        for (int m = 0; m < share.microBatches(); m++) {
            batches.fill(step, m, layout, t, l);
            System.arraycopy(t, 0, hostTokens, m * size, size);
            System.arraycopy(l, 0, hostLabels, m * size, size);
        }
        loaded = step;
    }

    /// A step that was started, and perhaps others after it. What it will read is already asked for: the tensors
    /// that it reads from are those of the next step, too.
    final class Launched {
        private final float[] reported = new float[Math.toIntExact(report.size())];
        private final float[] norm = new float[2];
        private final List<Readback> copies = List.of(begin(report, reported), begin(optimizer.norm(), norm));

        private static Readback begin(Tensor from, float[] to) {
            return Session.current().backend().downloadLater(MemorySegment.ofArray(to), from.address());
        }

        /// Whether [#result] would return at once.
        boolean isDone() {
            return copies.stream().allMatch(Readback::isDone);
        }

        /// Waits for this step, not for later ones.
        Result result() {
            // the last first: the others came before it in the order of the device
            copies.reversed().forEach(Readback::await);
            int losses = reported.length - SIGNALS;
            double sum = 0;
            for (int i = 0; i < losses; i++) {
                sum += reported[i];
            }
            return new Result(
                    (float) sum,
                    norm[0],
                    norm[1] != 0 && Double.isFinite(sum),
                    reported[losses] > 0,
                    reported[losses + 1] > 0);
        }
    }

    /// Starts the step that [#load] prepared.
    Launched launch(float rate, boolean isInterrupted, boolean isTimeUp) {
        set();
        learningRate.copyFrom(new float[] {rate});
        signals.copyFrom(new float[] {isInterrupted ? 1 : 0, isTimeUp ? 1 : 0});
        model.shards().begin();
        // The first step runs as it is: libraries that choose an algorithm at first use must have done so.
        if (graph && warmUps++ > 0) {
            recorded().replay();
        } else {
            Session session = Session.current();
            session.summarize("before step " + (loaded + 1));
            try (var _ = Scope.open("step")) {
                work();
            }
            session.summarize("step " + (loaded + 1));
        }
        return new Launched();
    }

    /// Computes the gradients of the step that [#load] prepared, eagerly, and updates nothing. Forgets a recorded
    /// step, whose memory it needs.
    void gradients() {
        forget();
        set();
        model.shards().begin();
        try (var _ = Scope.open("gradients")) {
            pipeline.run();
        }
    }

    private void set() {
        inputs.set(
                loaded,
                hostTokens,
                hostLabels,
                batches.labelsPerStep(inputs.share().layout()));
    }

    private void work() {
        pipeline.run();
        optimizer.step(learningRate);
        if (delayed != null) {
            delayed.step();
        }
        Tensor losses = inputs.losses();
        Tensor first = report.slice(0, losses.shape());
        first.kernels().cast(first, losses);
        Tensor rest = report.slice(losses.size(), signals.shape());
        rest.kernels().cast(rest, signals);
        model.mesh().world().allReduce(report).join();
    }

    private Graph recorded() {
        if (recorded == null) {
            Session session = Session.current();
            // What a step takes beside what lives on. Holes make the extent larger: recording costs no device time, so
            // try with more until it fits, then once more with what it needed.
            long bytes = session.peakBytes() - session.usedBytes();
            boolean isAlone = model.mesh().world().size() == 1;
            if (!isAlone) { // a rank that tried again would leave the others waiting in a collective
                bytes += bytes / 2 + (8 << 20);
            }
            long needed = record(bytes);
            while (needed > bytes) {
                if (!isAlone) {
                    throw new IllegalStateException("training.graph: recording a step needs more than " + bytes
                            + " bytes on this rank, half as much again as the step itself took;"
                            + " set training.graph to false");
                }
                bytes += bytes / 8 + (1 << 20);
                needed = record(bytes);
            }
            if (needed < bytes) {
                forget();
                record(needed);
            }
        }
        return Objects.requireNonNull(recorded);
    }

    /// Records the step in an arena of so many bytes.
    ///
    /// @return how many it needed; more than there were if it was not recorded
    private long record(long bytes) {
        Session session = Session.current();
        model.shards().begin();
        Scope s = Scope.createArena("recorded step", bytes); // entered to record only: other work allocates outside
        try (var _ = s.enter()) {
            recorded = session.capture(this::work);
            arena = s;
            return s.extentBytes();
        } catch (DeviceOutOfMemoryException e) { // after the scope was left
            s.close();
            model.decoder().weights().freshGradients();
            if (bytes > session.backend().memoryBytes()) {
                throw e;
            }
            return bytes + 1;
        }
    }

    @Override
    public void close() {
        forget();
        pipeline.close();
    }

    private void forget() {
        if (recorded != null) {
            recorded.close();
            recorded = null;
        }
        if (arena != null) {
            arena.close();
            arena = null;
        }
    }
}
