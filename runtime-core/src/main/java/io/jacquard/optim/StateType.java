package io.jacquard.optim;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.spi.StateRounding;

/// What an optimizer's state is kept in.
///
/// @param dtype F32, or BF16: then weights are BF16, too, have no F32 master, and all are rounded stochastically
/// ([StateRounding])
/// @param seed key of the random numbers that round BF16
public record StateType(DType dtype, long seed) {
    public static final StateType F32 = new StateType(DType.F32, 0);

    /// Checks the dtype.
    ///
    /// @throws IllegalArgumentException if it is neither F32 nor BF16
    public StateType {
        if (dtype != DType.F32 && dtype != DType.BF16) {
            throw new IllegalArgumentException("optimizer: state cannot be " + dtype + "; expected F32 or BF16");
        }
    }

    /// BF16, by random numbers of `seed`.
    public static StateType bf16(long seed) {
        return new StateType(DType.BF16, seed);
    }

    boolean isRounded() {
        return dtype == DType.BF16;
    }
}
