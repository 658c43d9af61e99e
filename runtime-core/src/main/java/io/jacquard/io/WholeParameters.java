package io.jacquard.io;

import io.jacquard.group.Group;
import io.jacquard.nn.Parameter;
import io.jacquard.nn.Slice;
import io.jacquard.nn.Weights.Segment;
import io.jacquard.optim.Shards;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// The parameters of a model as a whole, whatever ranks hold them in whatever slices, and the optimizer's state of
/// them: gathered into host memory of the ranks that write them, and loaded into what each rank holds. All ranks of the
/// data and the tensor group must call, in the same order.
///
/// Files made from them know nothing of the ranks, so that a run can go on with others.
///
/// **Memory**: one segment at a time on the device.
public final class WholeParameters {
    private final Shards shards;
    private final Group tensor;

    /// One whole parameter, or state of one, in host memory.
    public record Whole(Parameter parameter, DType dtype, MemorySegment data) {}

    /// Of weights that `shards` divides among data ranks and whose parameters `tensor` divides.
    public WholeParameters(Shards shards, Group tensor) {
        this.shards = shards;
        this.tensor = tensor;
    }

    /// The values that this rank writes, in `arena`: those of other parameters are with other ranks.
    public List<Whole> values(Arena arena) {
        return gather(arena, s -> {
            shards.gather(s);
            return null;
        });
    }

    /// What this rank writes of `slice`, a flat tensor of state.
    public List<Whole> state(Tensor slice, Arena arena) {
        return gather(arena, s -> {
            Tensor whole = Tensor.empty(s.shape(), slice.dtype());
            shards.data().allGather(whole, shards.stateOf(s, slice, 1)).join();
            return whole;
        });
    }

    /// @param bring the flat tensor of a segment; null for the values in its parameters
    private List<Whole> gather(Arena arena, Function<Segment, @Nullable Tensor> bring) {
        List<Whole> mine = new ArrayList<>();
        int number = 0;
        for (Segment s : shards.weights().segments()) {
            try (var _ = Scope.openWithoutGrad("gathered state")) {
                Tensor flat = bring.apply(s);
                for (Parameter p : shards.weights().parametersOf(s)) {
                    // copies are with the first holder; the others take turns, so that all write about as much
                    boolean isMine = s.counts()
                            && tensor.rank() == 0
                            && number++ % shards.data().size() == shards.data().rank();
                    Tensor here = flat == null ? p.value().detach() : part(s, flat, p);
                    whole(p, here, isMine, arena, mine);
                }
            }
        }
        return mine;
    }

    private Tensor part(Segment s, Tensor flat, Parameter p) {
        return flat.slice(shards.weights().offset(p) - s.offset(), p.shape());
    }

    private void whole(Parameter p, Tensor here, boolean isMine, Arena arena, List<Whole> mine) {
        List<Slice> slices = p.slices();
        Shape widest = Shape.of(slices.stream()
                .mapToInt(s -> Math.toIntExact(s.of(p.logicalShape()).elements()))
                .max()
                .orElseThrow());
        Tensor all = here;
        if (slices.size() > 1) {
            Tensor padded = Tensor.zeros(widest, here.dtype()); // all ranks' parts of a gather have one size
            padded.kernels().cast(padded.slice(0, here.shape()), here);
            all = Tensor.empty(Shape.of(slices.size(), widest.dim(0)), here.dtype());
            tensor.allGather(all, padded).join();
        }
        if (!isMine) {
            return;
        }
        DType dtype = here.dtype();
        MemorySegment data = arena.allocate(dtype.bytes(p.logicalShape().elements()), 64);
        try (Arena host = Arena.ofConfined()) {
            MemorySegment parts = host.allocate(all.bytes(), 64);
            all.copyTo(parts);
            for (int r = 0; r < slices.size(); r++) {
                long first = dtype.bytes((long) r * widest.dim(0));
                slices.get(r)
                        .runs(
                                p.logicalShape(),
                                (in, out, n) -> MemorySegment.copy(
                                        parts, first + dtype.bytes(in), data, dtype.bytes(out), dtype.bytes(n)));
            }
        }
        mine.add(new Whole(p, dtype, data));
    }

    /// Loads values: `source` gives the whole of a parameter, in the weights' dtype.
    public void loadValues(Function<Parameter, Tensor> source) {
        shards.fill(s ->
                shards.weights().parametersOf(s).forEach(p -> load(p, p.value().detach(), source)));
    }

    /// Loads a flat tensor of state: `source` gives the whole of a parameter's, in its dtype.
    public void loadState(Tensor slice, Function<Parameter, Tensor> source) {
        for (Segment s : shards.weights().segments()) {
            try (var _ = Scope.openWithoutGrad("state to load")) {
                Tensor flat = Tensor.zeros(s.shape(), slice.dtype());
                shards.weights().parametersOf(s).forEach(p -> load(p, part(s, flat, p), source));
                Tensor mine = shards.stateOf(s, slice, 1);
                mine.kernels().cast(mine, shards.part(s, flat));
            }
        }
    }

    private static void load(Parameter p, Tensor here, Function<Parameter, Tensor> source) {
        try (var _ = Scope.openWithoutGrad("parameter to load")) {
            p.take(here, source.apply(p));
        }
    }
}
