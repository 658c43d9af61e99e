package io.jacquard.optim;

import io.jacquard.nn.Parameter;
import io.jacquard.nn.Weights;
import io.jacquard.nn.Weights.Segment;
import io.jacquard.optim.Shards.Run;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/// What every optimizer keeps of the slice that it updates: where small updates accumulate, and what decays.
final class Shard {
    private final Shards shards;
    private final @Nullable Tensor master;
    private final Tensor decays;

    /// Allocates in the current scope.
    Shard(Shards shards) {
        this.shards = shards;
        DType dtype = shards.pieces().getFirst().values().dtype();
        master = dtype == DType.F32
                ? null
                : Tensor.empty(shards.slice(), DType.F32).named("master");
        for (Run r : shards.pieces()) {
            Tensor m = master(r);
            if (m != r.values()) {
                m.kernels().cast(m, r.values());
            }
        }
        decays = Tensor.empty(Shape.of(shards.slice().dim(0) / Weights.ALIGNMENT), DType.U8);
        for (Segment s : shards.weights().segments()) {
            Tensor part = shards.stateOf(s, decays, Weights.ALIGNMENT);
            part.copyFrom(MemorySegment.ofArray(decays(s)));
        }
    }

    /// This rank's part of the table of a segment, one entry per [Weights#ALIGNMENT] elements: 1 where weight decay
    /// applies.
    private byte[] decays(Segment s) {
        byte[] table = new byte[Math.toIntExact(s.elements() / Weights.ALIGNMENT)];
        for (Parameter p : shards.weights().parametersOf(s)) {
            if (p.decays()) {
                int first = Math.toIntExact((shards.weights().offset(p) - s.offset()) / Weights.ALIGNMENT);
                int count = Math.toIntExact(Math.ceilDiv(p.shape().elements(), Weights.ALIGNMENT));
                Arrays.fill(table, first, first + count, (byte) 1);
            }
        }
        int part = table.length / shards.data().size();
        int from = shards.data().rank() * part;
        return Arrays.copyOfRange(table, from, from + part);
    }

    /// A zeroed F32 tensor of the slice's shape.
    Tensor state(String name) {
        return Tensor.zeros(shards.slice(), DType.F32).named(name);
    }

    /// Where small updates of `r` accumulate, F32: the values themselves where they are F32.
    Tensor master(Run r) {
        return master == null ? r.values() : r.of(master, 1);
    }

    Tensor decays(Run r) {
        return r.of(decays, Weights.ALIGNMENT);
    }

    /// Puts what has to be saved.
    void save(SequencedMap<String, Tensor> state) {
        if (master != null) {
            state.put("master", master);
        }
    }
}
