package io.jacquard.optim;

import io.jacquard.nn.Parameter;
import io.jacquard.nn.Weights;
import io.jacquard.nn.Weights.Segment;
import io.jacquard.optim.Shards.Run;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.StateRounding;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/// What every optimizer keeps of the slice that it updates: where small updates accumulate or how they are rounded, and
/// what decays.
final class Shard {
    /// Elements for each number of the table of origins: two for [Weights#ALIGNMENT].
    private static final int PER_ORIGIN = Weights.ALIGNMENT / 2;

    /// Numbers of [Weights#ALIGNMENT] elements that the parameters of one tensor rank are apart from those of the
    /// next in the index of their random numbers: more than a segment has.
    private static final int BETWEEN_RANKS = 1 << 23;

    private final Shards shards;
    private final StateType type;
    private final @Nullable Tensor master;
    private final Tensor decays;
    private final @Nullable Tensor origins;

    /// Allocates in the current scope.
    ///
    /// @throws IllegalArgumentException if the state is BF16 and the weights are not
    Shard(Shards shards, StateType type) {
        this.shards = shards;
        this.type = type;
        DType dtype = shards.pieces().getFirst().values().dtype();
        if (type.isRounded() && dtype != DType.BF16) {
            throw new IllegalArgumentException("optimizer: state in BF16 is rounded into weights in BF16; these are "
                    + dtype + ": allocate them in BF16, or keep the state in F32");
        }
        master = dtype == DType.F32 || type.isRounded()
                ? null
                : Tensor.empty(shards.slice(), DType.F32).named("master");
        for (Run r : shards.pieces()) {
            Tensor m = master(r);
            if (m != r.values()) {
                m.kernels().cast(m, r.values());
            }
        }
        decays = Tensor.empty(Shape.of(shards.slice().dim(0) / Weights.ALIGNMENT), DType.U8);
        origins = type.isRounded() ? Tensor.empty(Shape.of(shards.slice().dim(0) / PER_ORIGIN), DType.I32) : null;
        for (Segment s : shards.weights().segments()) {
            copyPart(decays, s, Weights.ALIGNMENT, MemorySegment.ofArray(decays(s)));
            if (origins != null) {
                copyPart(origins, s, PER_ORIGIN, MemorySegment.ofArray(origins(s)));
            }
        }
    }

    /// Copies this rank's part of the table of a segment, which has an entry for each `unit` elements.
    private void copyPart(Tensor slice, Segment s, int unit, MemorySegment table) {
        long bytes = table.byteSize() / shards.data().size();
        shards.stateOf(s, slice, unit).copyFrom(table.asSlice(shards.data().rank() * bytes, bytes));
    }

    /// The table of a segment, one entry per [Weights#ALIGNMENT] elements: 1 where weight decay applies.
    private byte[] decays(Segment s) {
        byte[] table = new byte[groups(s)];
        for (Parameter p : shards.weights().parametersOf(s)) {
            if (p.decays()) {
                int first = firstGroup(s, p);
                Arrays.fill(table, first, first + groups(p), (byte) 1);
            }
        }
        return table;
    }

    /// The table of a segment that [StateRounding#origins] describes. Sites and indices are those of the
    /// parameters, whatever ranks hold: data ranks draw for an element what one rank alone would, ranks that hold
    /// copies the same, and tensor ranks, whose slices lie anywhere in a parameter, numbers of their own.
    private int[] origins(Segment s) {
        int[] table = new int[2 * groups(s)];
        for (Parameter p : shards.weights().parametersOf(s)) {
            int site = p.name().hashCode();
            int origin = p.slices().indexOf(p.slice()) * BETWEEN_RANKS;
            int first = firstGroup(s, p);
            for (int i = 0; i < groups(p); i++) {
                table[2 * (first + i)] = site;
                table[2 * (first + i) + 1] = origin + i;
            }
        }
        return table;
    }

    private static int groups(Segment s) {
        return Math.toIntExact(s.elements() / Weights.ALIGNMENT);
    }

    private static int groups(Parameter p) {
        return Math.toIntExact(Math.ceilDiv(p.shape().elements(), Weights.ALIGNMENT));
    }

    private int firstGroup(Segment s, Parameter p) {
        return Math.toIntExact((shards.weights().offset(p) - s.offset()) / Weights.ALIGNMENT);
    }

    /// A zeroed tensor of the slice's shape.
    Tensor state(String name) {
        return Tensor.zeros(shards.slice(), type.dtype()).named(name);
    }

    /// How the state of `r` is rounded at a step; null where it is not.
    @Nullable
    StateRounding rounding(Run r, Tensor step) {
        return origins == null ? null : new StateRounding(type.seed(), step, r.of(origins, PER_ORIGIN));
    }

    /// Where small updates of `r` accumulate: the values themselves where they are F32, or rounded stochastically.
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
