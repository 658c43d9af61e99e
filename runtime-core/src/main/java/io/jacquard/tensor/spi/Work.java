package io.jacquard.tensor.spi;

import io.jacquard.tensor.DType;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// What one call of a [Kernels] method has to do, from its operands alone: `Work.of(k -> k.gelu(out, x))`. A device
/// may do more (read an operand again, compute a score twice); its rate is that of the work that was asked for.
///
/// `bytes` is each operand read once where it is read and written once where it is written: `out` is read only where
/// `beta` is not 0, and of a table only the rows that are wanted. `operations` are floating additions and
/// multiplications; of element-wise kernels as the comment over the CUDA kernel counts them (`docs/kernels.md`).
/// `matrix` is the operands' type where the multiply-adds belong on a matrix unit, whose peak then bounds the call
/// beside the memory's; null where only the memory's does.
public record Work(long bytes, long operations, @Nullable DType matrix) {
    /// The work of the one call that `call` makes. Nothing runs.
    ///
    /// @throws IllegalArgumentException if it makes none or several
    public static Work of(Consumer<Kernels> call) {
        WorkCounter counter = new WorkCounter();
        call.accept(counter);
        return counter.only();
    }
}
