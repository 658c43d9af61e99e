package io.jacquard.optim;

import io.jacquard.group.Group;
import io.jacquard.nn.Parameter;
import io.jacquard.nn.Weights;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.Arrays;

/// The slice of the flat weights that this rank updates: ZeRO stage 1 (Rajbhandari et al., arXiv:1910.02054). Every
/// rank holds all values and gradients, but the optimizer's state of one slice only; in the group of one the slice is
/// all.
final class Shard {
    private final Weights weights;
    private final Group group;
    private final Tensor values;
    private final Tensor gradients;
    private final Tensor master;
    private final Tensor decays;
    private final Tensor norm;
    private final Tensor norms;

    /// Allocates in the current scope.
    Shard(Weights weights, Group group) {
        long all = weights.values().size();
        if (all % ((long) Weights.ALIGNMENT * group.size()) != 0) {
            throw new IllegalArgumentException("optimizer: " + all + " weights do not divide into " + group.size()
                    + " slices of whole blocks of " + Weights.ALIGNMENT + "; make them by new Weights(" + group.size()
                    + ")");
        }
        this.weights = weights;
        this.group = group;
        Shape slice = Shape.of(Math.toIntExact(all / group.size()));
        long from = group.rank() * slice.elements();
        values = weights.values().slice(from, slice);
        gradients = weights.gradients().slice(from, slice);
        master = values.dtype() == DType.F32
                ? values
                : Tensor.empty(slice, DType.F32).named("master");
        if (hasMaster()) {
            master.kernels().cast(master, values);
        }
        decays = decays(from, slice.elements());
        norm = Tensor.zeros(Shape.of(2), DType.F32);
        norms = Tensor.zeros(Shape.of(group.size()), DType.F32);
    }

    /// U8, one entry per [Weights#ALIGNMENT] elements of the slice: 1 where weight decay applies.
    private Tensor decays(long from, long elements) {
        int blocks = Math.toIntExact(weights.values().size() / Weights.ALIGNMENT);
        byte[] table = new byte[blocks];
        for (Parameter p : weights.parameters()) {
            if (p.decays()) {
                int first = Math.toIntExact(weights.offset(p) / Weights.ALIGNMENT);
                int count = Math.toIntExact(Math.ceilDiv(p.shape().elements(), Weights.ALIGNMENT));
                Arrays.fill(table, first, first + count, (byte) 1);
            }
        }
        int first = Math.toIntExact(from / Weights.ALIGNMENT);
        int count = Math.toIntExact(elements / Weights.ALIGNMENT);
        Tensor t = Tensor.empty(Shape.of(count), DType.U8);
        t.copyFrom(java.lang.foreign.MemorySegment.ofArray(Arrays.copyOfRange(table, first, first + count)));
        return t;
    }

    /// Sums the gradients of all ranks into their slices and takes the norm of the whole.
    void reduce() {
        weights.settleGradients();
        group.reduceScatter(gradients, weights.gradients()).join();
        gradients.kernels().norm(norm, gradients);
        if (group.size() > 1) { // the norm of the slices' norms; it is finite only if all are
            group.allGather(norms, norm.slice(0, Shape.of(1))).join();
            norm.kernels().norm(norm, norms);
        }
    }

    /// Hands the updated values to all ranks; the next backward starts gradients anew.
    void publish() {
        group.allGather(weights.values(), values).join();
        weights.freshGradients();
    }

    /// A zeroed F32 tensor of the slice's shape.
    Tensor state(String name) {
        return Tensor.zeros(values.shape(), DType.F32).named(name);
    }

    /// The values in this slice, in the weights' dtype.
    Tensor values() {
        return values;
    }

    /// The slice's gradients, of all ranks together after [#reduce].
    Tensor gradients() {
        return gradients;
    }

    /// Where small updates accumulate, F32: the values themselves where they are F32.
    Tensor master() {
        return master;
    }

    boolean hasMaster() {
        return master != values;
    }

    Tensor decays() {
        return decays;
    }

    /// As [Optimizer#norm].
    Tensor norm() {
        return norm;
    }
}
