package io.jacquard.parallel;

import io.jacquard.nn.Pass;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// What one optimizer step of a replica reads, and where its losses go: tensors that stay where they are, so that a
/// step can be recorded. Allocated in the current scope when made.
public final class StepInputs {
    private final BatchShare share;
    private final boolean recompute;
    private final long seed;
    private final Tensor tokens;
    private final Tensor labels;
    private final @Nullable Tensor counters;
    private final Tensor scale = Tensor.zeros(Shape.of(1), DType.F32).named("scale");
    private final Tensor losses;

    /// @param recompute as in [Pass]
    /// @param dropout whether activations are dropped, by masks of this `seed`
    public StepInputs(BatchShare share, int context, boolean recompute, boolean dropout, long seed) {
        this.share = share;
        this.recompute = recompute;
        this.seed = seed;
        Shape all = Shape.of(share.microBatches() * share.rows(), context);
        tokens = Tensor.zeros(all, DType.I32).named("tokens");
        labels = Tensor.zeros(all, DType.I32).named("labels");
        counters = dropout
                ? Tensor.zeros(Shape.of(share.microBatches(), 2), DType.I32).named("counters")
                : null;
        losses = Tensor.zeros(Shape.of(share.microBatches()), DType.F32).named("losses");
    }

    /// Copies the data of a step to the device.
    ///
    /// @param tokens this replica's, `[microBatches, rows, context]`
    /// @param labels of the same shape; negative ones do not count
    /// @param valid labels of the whole step, on all replicas, that count
    public void set(long step, int[] tokens, int[] labels, long valid) {
        this.tokens.copyFrom(tokens);
        this.labels.copyFrom(labels);
        scale.copyFrom(new float[] {valid == 0 ? 0f : 1f / valid});
        if (counters != null) {
            int[] c = new int[2 * share.microBatches()];
            for (int m = 0; m < share.microBatches(); m++) {
                c[2 * m] = (int) step;
                c[2 * m + 1] = share.number(m);
            }
            counters.copyFrom(c);
        }
    }

    /// The share that these are the inputs of.
    public BatchShare share() {
        return share;
    }

    /// F32 `[microBatches]`: this replica's part of the loss of the step, where [MeshModel#reports], zeros
    /// elsewhere.
    public Tensor losses() {
        return losses;
    }

    Tensor tokens(int microBatch) {
        return rows(tokens, microBatch);
    }

    Tensor labels(int microBatch) {
        return rows(labels, microBatch);
    }

    private Tensor rows(Tensor all, int microBatch) {
        return all.rows(microBatch * share.rows(), (microBatch + 1) * share.rows());
    }

    Tensor scale() {
        return scale;
    }

    Tensor loss(int microBatch) {
        return losses.slice(microBatch, Shape.of(1));
    }

    Pass pass(int microBatch) {
        Tensor site = counters == null ? null : counters.slice(2L * microBatch, Shape.of(2));
        return new Pass(recompute, seed, site, share.sequencesBefore(), null);
    }
}
