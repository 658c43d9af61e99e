package io.jacquard.train;

import io.jacquard.data.Batches;
import io.jacquard.nn.Decoder;
import io.jacquard.nn.Pass;
import io.jacquard.optim.Optimizer;
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
    /// What came of a step.
    ///
    /// @param loss mean over the valid tokens of the step
    /// @param finite false if the optimizer refused the step
    record Result(float loss, float gradientNorm, boolean finite) {}

    private final Decoder decoder;
    private final Optimizer optimizer;
    private final Batches batches;
    private final Batches.Layout layout;
    private final TrainConfig.Training settings;
    private final boolean dropout;
    private final boolean graph;

    private final int context;
    private final int[] hostTokens;
    private final int[] hostLabels;
    private final int[] hostCounters;
    private final Tensor tokens;
    private final Tensor labels;
    private final Tensor counters;
    private final Tensor scale;
    private final Tensor learningRate;
    private final Tensor losses;

    private long warmUps;
    private @Nullable Scope arena;
    private @Nullable Graph recorded;

    /// Allocates the inputs in the current scope.
    TrainStep(Decoder decoder, Optimizer optimizer, Batches batches, TrainConfig config) {
        this.decoder = decoder;
        this.optimizer = optimizer;
        this.batches = batches;
        this.settings = config.training();
        this.dropout = config.model().dropout() > 0;
        this.graph = settings.graph() && !Session.current().isDebugging();
        this.context = config.model().context();
        layout = new Batches.Layout(settings.microBatch(), settings.accumulation(), 0, 1);
        int rows = settings.microBatch() * settings.accumulation();
        hostTokens = new int[rows * context];
        hostLabels = new int[rows * context];
        hostCounters = new int[2 * settings.accumulation()];
        tokens = Tensor.empty(Shape.of(rows, context), DType.I32).named("tokens");
        labels = Tensor.empty(Shape.of(rows, context), DType.I32).named("labels");
        counters = Tensor.empty(Shape.of(settings.accumulation(), 2), DType.I32).named("counters");
        scale = Tensor.empty(Shape.of(1), DType.F32).named("scale");
        learningRate = Tensor.empty(Shape.of(1), DType.F32).named("learning rate");
        losses = Tensor.zeros(Shape.of(settings.accumulation()), DType.F32).named("losses");
    }

    /// Reads the data of a step into host memory.
    void load(long step) {
        int size = layout.rows() * context;
        int[] t = new int[size];
        int[] l = new int[size];
        for (int m = 0; m < settings.accumulation(); m++) {
            batches.fill(step, m, layout, t, l);
            System.arraycopy(t, 0, hostTokens, m * size, size);
            System.arraycopy(l, 0, hostLabels, m * size, size);
            hostCounters[2 * m] = (int) step;
            hostCounters[2 * m + 1] = m;
        }
    }

    /// A step that was started, and perhaps others after it. What it will read is already asked for: the tensors
    /// that it reads from are those of the next step, too.
    final class Launched {
        private final float[] loss = new float[settings.accumulation()];
        private final float[] norm = new float[2];
        private final List<Readback> copies = List.of(begin(losses, loss), begin(optimizer.norm(), norm));

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
            double sum = 0;
            for (float l : loss) {
                sum += l;
            }
            return new Result((float) sum, norm[0], norm[1] != 0 && Double.isFinite(sum));
        }
    }

    /// Starts the step that [#load] prepared.
    Launched launch(float rate) {
        int valid = 0;
        for (int label : hostLabels) {
            valid += label >= 0 ? 1 : 0;
        }
        tokens.copyFrom(hostTokens);
        labels.copyFrom(hostLabels);
        counters.copyFrom(hostCounters);
        scale.copyFrom(new float[] {valid == 0 ? 0f : 1f / valid});
        learningRate.copyFrom(new float[] {rate});
        // The first step runs as it is: libraries that choose an algorithm at first use must have done so.
        if (graph && warmUps++ > 0) {
            recorded().replay();
        } else {
            Session session = Session.current();
            session.summarize("before step " + (hostCounters[0] + 1));
            try (var _ = Scope.open("step")) {
                work();
            }
            session.summarize("step " + (hostCounters[0] + 1));
        }
        return new Launched();
    }

    private void work() {
        for (int m = 0; m < settings.accumulation(); m++) {
            try (var _ = Scope.open("micro-batch")) {
                int rows = layout.rows();
                Tensor t = tokens.rows(m * rows, (m + 1) * rows);
                Tensor l = labels.rows(m * rows, (m + 1) * rows);
                Tensor site = dropout ? counters.slice(2L * m, Shape.of(2)) : null;
                Tensor loss = decoder.loss(t, l, scale, new Pass(settings.recompute(), settings.seed(), site));
                Tensor kept = losses.slice(m, Shape.of(1));
                kept.kernels().cast(kept, loss);
                loss.backward();
            }
        }
        optimizer.step(learningRate);
    }

    private Graph recorded() {
        if (recorded == null) {
            Session session = Session.current();
            // What a step takes beside what lives on. Holes make the extent larger: recording costs no device time, so
            // try with more until it fits, then once more with what it needed.
            long bytes = session.peakBytes() - session.usedBytes();
            long needed = record(bytes);
            while (needed > bytes) {
                bytes += bytes / 8 + (1 << 20);
                needed = record(bytes);
            }
            if (needed < bytes) {
                close();
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
        Scope s = Scope.openArena("recorded step", bytes);
        try {
            recorded = session.capture(this::work);
            arena = s;
            return s.extentBytes();
        } catch (DeviceOutOfMemoryException e) {
            s.close();
            decoder.weights().freshGradients();
            if (bytes > session.backend().memoryBytes()) {
                throw e;
            }
            return bytes + 1;
        }
    }

    @Override
    public void close() {
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
