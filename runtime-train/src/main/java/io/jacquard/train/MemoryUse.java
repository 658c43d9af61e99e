package io.jacquard.train;

import io.jacquard.optim.Optimizer;
import io.jacquard.optim.Shards;
import io.jacquard.parallel.MeshModel;
import io.jacquard.tensor.Tensor;
import java.util.Locale;

/// What weights, gradients and optimizer take on one rank, and what ZeRO's formula says.
///
/// @param parameters trainable numbers on this rank
/// @param measured bytes that the session holds for them
/// @param formula bytes by the formula, for what is kept from step to step
/// @param terms the formula
/// @param buffers bytes for the wholes of what is kept in parts, which are not in it
record MemoryUse(long parameters, long measured, double formula, String terms, long buffers) {
    /// @param measured bytes that the session has more since model and optimizer are there
    static MemoryUse of(MeshModel model, Optimizer optimizer, long measured) {
        Shards shards = model.shards();
        long p = model.decoder().weights().count();
        int n = shards.data().size();
        int zero = shards.plan().stage();
        long values = model.dtype().bytes(1);
        long gradients = shards.gradientDType().bytes(1);
        long state = optimizer.state().values().stream()
                        .filter(t -> t.size() > 1)
                        .mapToLong(Tensor::bytes)
                        .sum()
                / (model.decoder().weights().elements() / n);
        long whole = (zero < 3 ? values : 0) + (zero < 2 ? gradients : 0);
        long divided = values + gradients + state - whole;
        String terms = (whole == 0 ? "" : whole + " p + ") + divided + " p / n";
        return new MemoryUse(
                p,
                measured,
                (double) whole * p + (double) divided * p / n,
                terms + ", p = " + p + ", n = " + n,
                shards.memory().buffers());
    }

    private static String mebibytes(double bytes) {
        return String.format(Locale.ROOT, "%.1f MiB", bytes / (1 << 20));
    }

    @Override
    public String toString() {
        return "weights, gradients and optimizer take " + mebibytes((double) measured) + " on rank 0; by formula "
                + mebibytes(formula) + " (" + terms + ")"
                + (buffers == 0 ? "" : " and " + mebibytes((double) buffers) + " of buffers");
    }
}
