package io.jacquard.cuda;

import io.jacquard.cuda.driver.CublasLtProduct;
import io.jacquard.cuda.driver.CublasLtProduct.Algorithm;
import io.jacquard.cuda.driver.Gpu;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.cuda.driver.Stopwatch;
import io.jacquard.tensor.Tensor;
import java.util.List;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/// Measures the ways to do one product on the operands at hand. The results go to scratch memory: `out` may be half of
/// a sum.
final class MatmulSearch {
    /// How long a batch of launches should take: events are good to half a microsecond.
    private static final double BATCH_MICROS = 2000;

    private static final int MOST_LAUNCHES = 50;
    private static final int BATCHES = 3;

    private final Launcher launcher;
    private final @Nullable LongConsumer own;
    private boolean measured = true;

    /// `own` launches the product by our kernels, into an address; null where they do not compete.
    MatmulSearch(Launcher launcher, @Nullable LongConsumer own) {
        this.launcher = launcher;
        this.own = own;
    }

    /// Whether there was memory to measure in.
    boolean isMeasured() {
        return measured;
    }

    /// The fastest algorithm, or null when our own kernels are faster, or nothing else works. Without memory for
    /// the scratch the library's first choice.
    @Nullable
    Algorithm fastest(
            CublasLtProduct product,
            List<Algorithm> candidates,
            Tensor sum,
            Tensor a,
            Tensor b,
            @Nullable Tensor bias) {
        if (candidates.isEmpty()) {
            return null;
        }
        Gpu gpu = launcher.gpu();
        long scratch = gpu.allocate(sum.bytes());
        if (scratch == 0) {
            measured = false;
            return candidates.getFirst();
        }
        try (Stopwatch stopwatch = new Stopwatch(gpu)) {
            gpu.clear(scratch, sum.bytes()); // accumulation reads it
            Algorithm best = null;
            double least = Double.POSITIVE_INFINITY;
            if (own != null) {
                own.accept(scratch);
                least = micros(stopwatch, () -> own.accept(scratch));
            }
            for (Algorithm candidate : candidates) {
                product.use(candidate);
                if (!product.tryOut(launcher, sum, scratch, a, b, bias)) {
                    continue;
                }
                if (candidates.size() == 1 && own == null) {
                    return candidate;
                }
                double micros = micros(stopwatch, () -> product.run(launcher, sum, scratch, a, b, bias));
                if (micros < least) {
                    least = micros;
                    best = candidate;
                }
            }
            return best;
        } finally {
            gpu.free(scratch);
        }
    }

    /// Of one launch that has run before, in the fastest of some batches: what else the device does can only add.
    private static double micros(Stopwatch stopwatch, Runnable launch) {
        double first = stopwatch.micros(launch);
        int launches = (int) Math.clamp(BATCH_MICROS / Math.max(first, 1), 1, MOST_LAUNCHES);
        double least = first;
        for (int batch = 0; batch < BATCHES; batch++) {
            least = Math.min(least, stopwatch.micros(() -> repeat(launch, launches)) / launches);
        }
        return least;
    }

    private static void repeat(Runnable launch, int times) {
        for (int i = 0; i < times; i++) {
            launch.run();
        }
    }
}
