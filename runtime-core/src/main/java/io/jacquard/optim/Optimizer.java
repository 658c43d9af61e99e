package io.jacquard.optim;

import io.jacquard.nn.Parameter;
import io.jacquard.nn.Weights;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.SequencedMap;

/// Updates the weights from their gradients.
public sealed interface Optimizer permits AdamW, Sgd {
    /// One step over all weights; afterwards the next backward starts gradients anew. Waits for nothing.
    ///
    /// **Memory**: allocates nothing.
    ///
    /// @param learningRate F32 `[1]` on the device
    void step(Tensor learningRate);

    /// F32 `[2]`: {l2 norm of the gradients before clipping, 1 if all were finite else 0} of the last step. A step
    /// that was not finite changed nothing. Zeros before the first step.
    Tensor norm();

    /// The tensors that make up the optimizer's state, by name, for saving and loading.
    SequencedMap<String, Tensor> state();

    /// U8, one entry per [Weights#ALIGNMENT] elements of the flat weights: 1 where weight decay applies.
    static Tensor decayTable(Weights weights) {
        byte[] table = new byte[Math.toIntExact(weights.values().size() / Weights.ALIGNMENT)];
        for (Parameter p : weights.parameters()) {
            if (p.decays()) {
                int from = Math.toIntExact(weights.offset(p) / Weights.ALIGNMENT);
                int blocks = Math.toIntExact((p.shape().elements() + Weights.ALIGNMENT - 1) / Weights.ALIGNMENT);
                java.util.Arrays.fill(table, from, from + blocks, (byte) 1);
            }
        }
        Tensor t = Tensor.empty(Shape.of(table.length), DType.U8);
        t.copyFrom(java.lang.foreign.MemorySegment.ofArray(table));
        return t;
    }

    /// The F32 copy that small updates accumulate in: the values themselves where they are F32.
    static Tensor master(Weights weights) {
        Tensor values = weights.values();
        if (values.dtype() == DType.F32) {
            return values;
        }
        Tensor master = Tensor.empty(values.shape(), DType.F32).named("master");
        master.kernels().cast(master, values);
        return master;
    }
}
