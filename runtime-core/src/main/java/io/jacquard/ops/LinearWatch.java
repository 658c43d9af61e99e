package io.jacquard.ops;

import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Scaled;
import java.util.function.Consumer;

/// Hears what the linear layers of a model's blocks multiply and round, while it watches: for measurements and
/// calibration, not for training. What it is told may be read until the method returns.
public interface LinearWatch {
    /// What of a layer is rounded.
    enum Operand {
        INPUT,
        WEIGHT,
        GRADIENT
    }

    /// `x` is about to be multiplied by this weight.
    default void multiplied(Tensor weight, Tensor x) {}

    /// `x`, an operand of the layer with this weight, was rounded to `copy`, of the same rows and columns.
    default void rounded(Tensor weight, Operand operand, Tensor x, Scaled copy) {}

    /// Runs `action`, of whose layers `watcher` hears on this thread.
    static void watch(LinearWatch watcher, Runnable action) {
        ScopedValue.where(Watch.CURRENT, watcher).run(action);
    }

    /// Tells who watches, if anybody does.
    static void tell(Consumer<LinearWatch> event) {
        if (isWatching()) {
            event.accept(Watch.CURRENT.get());
        }
    }

    /// Whether anybody does: then the inputs of layers are there to be looked at.
    static boolean isWatching() {
        return Watch.CURRENT.isBound();
    }

    /// Who watches this thread.
    final class Watch {
        private static final ScopedValue<LinearWatch> CURRENT = ScopedValue.newInstance();

        private Watch() {}
    }
}
