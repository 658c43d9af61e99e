package io.jacquard.ops;

import io.jacquard.group.Group;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// The scales of all tensors that [Recipe#FP8_DELAYED] rounds, and the largest magnitudes of the last steps that they
/// come from: on the device, moved on by one launch a step. Ranks that hold the same layers have the same scales, of
/// the largest among them.
///
/// Until the first [#step], each tensor has the scale of its own largest magnitude.
///
/// **Thread**: that of the session.
public final class DelayedScales {
    /// Steps whose largest magnitude counts. A longer memory survives rarer outliers, and leaves more of the type's
    /// range unused after each.
    private static final int HISTORY = 16;

    private static final int SITES = 3;

    /// How many numbers a layer has in [#saved].
    public static final int SAVED = SITES * (1 + HISTORY);

    private final List<String> names = new ArrayList<>();
    private final List<DType> types = new ArrayList<>();
    private @Nullable State state;
    private boolean fresh = true;

    /// @param amax of all ranks, `[ranks, n]`
    /// @param gathers what makes it whole, one after the other
    /// @param mine where this rank's row of it begins, in elements
    private record State(Tensor scales, Tensor history, Tensor amax, Tensor largest, List<Gather> gathers, long mine) {}

    private record Gather(Group group, Tensor out, Tensor in) {}

    /// The scale of one tensor.
    public final class Site {
        private final int index;

        private Site(int index) {
            this.index = index;
        }

        /// The scale, F32 `[1]`.
        Tensor scale() {
            return allocated().scales.slice(index, Shape.of(1));
        }

        /// [#scale] as that of a whole matrix, `[1, 1]`.
        Tensor matrixScale() {
            return scale().reshape(Shape.of(1, 1));
        }

        /// Whether there were steps before, so that [#scale] is known.
        boolean isSettled() {
            allocated();
            return !fresh;
        }

        /// The largest magnitude in this step so far, F32 `[1]`.
        Tensor amax() {
            State s = allocated();
            return s.amax.slice(s.mine + index, Shape.of(1));
        }

        /// Takes notice of `x`, or of its largest magnitude.
        void see(Tensor x) {
            x.kernels().absMax(amax(), x, 1f);
        }
    }

    /// What one linear layer rounds.
    public record Layer(Site input, Site weight, Site gradient) {}

    /// Room for the tensors of one more layer, of this name in saved states.
    ///
    /// @throws IllegalStateException after [#allocate]
    public Layer layer(String name) {
        if (state != null) {
            throw new IllegalStateException("delayed scales: layer '" + name + "' is declared after allocate()");
        }
        names.add(name);
        return new Layer(
                site(Recipe.FP8_DELAYED.forward()),
                site(Recipe.FP8_DELAYED.forward()),
                site(Recipe.FP8_DELAYED.gradient()));
    }

    private Site site(DType type) {
        types.add(type);
        return new Site(types.size() - 1);
    }

    /// Gives all of them memory in the current scope, for one rank.
    public void allocate() {
        allocate(List.of());
    }

    /// Gives all of them memory in the current scope. All ranks of `groups` must call, and have the same layers.
    ///
    /// @param groups whose product is all ranks with these layers, that of the innermost ranks first
    public void allocate(List<Group> groups) {
        int n = types.size();
        int ranks = groups.stream().mapToInt(Group::size).reduce(1, Math::multiplyExact);
        float[] largest = new float[n];
        for (int i = 0; i < n; i++) {
            largest[i] = types.get(i).largest();
        }
        Tensor scales = Tensor.zeros(Shape.of(n), DType.F32).named("delayed scales");
        scales.kernels().fill(scales, 1f);
        Tensor amax = Tensor.zeros(Shape.of(ranks, n), DType.F32).named("largest magnitudes");
        List<Gather> gathers = new ArrayList<>();
        int first = 0;
        int count = ranks;
        for (Group g : groups.reversed()) {
            int part = count / g.size();
            int mine = first + g.rank() * part;
            if (g.size() > 1 && n > 0) {
                gathers.addFirst(new Gather(g, rows(amax, first, count), rows(amax, mine, part)));
            }
            first = mine;
            count = part;
        }
        state = new State(
                scales,
                Tensor.zeros(Shape.of(n, HISTORY), DType.F32).named("largest magnitudes of steps"),
                amax,
                Tensor.of(Shape.of(n), largest).named("largest values of types"),
                gathers,
                (long) first * n);
    }

    private static Tensor rows(Tensor matrix, int first, int count) {
        int n = matrix.shape().last();
        return matrix.slice((long) first * n, Shape.of(count, n));
    }

    private State allocated() {
        if (state == null) {
            throw new IllegalStateException("delayed scales: no memory yet; call allocate() after building the model");
        }
        return state;
    }

    /// Ends an optimizer step: what was seen in it, on any rank, counts from the next one on. Waits for nothing.
    /// All ranks with these layers must call.
    public void step() {
        State s = allocated();
        s.gathers.forEach(g -> g.group.allGather(g.out, g.in).join());
        s.scales.kernels().delayScales(s.scales, s.history, s.amax, s.largest);
        fresh = false;
    }

    /// What [#load] needs, by layer: of each tensor its scale and the magnitudes of its last steps, F32
    /// `[3 * (1 + history)]`. Waits for the device.
    public SequencedMap<String, float[]> saved() {
        State s = allocated();
        float[] scales = s.scales.toFloats();
        float[] history = s.history.toFloats();
        SequencedMap<String, float[]> saved = new LinkedHashMap<>();
        for (int l = 0; l < names.size(); l++) {
            float[] layer = new float[SAVED];
            System.arraycopy(scales, SITES * l, layer, 0, SITES);
            System.arraycopy(history, SITES * HISTORY * l, layer, SITES, SITES * HISTORY);
            saved.put(names.get(l), layer);
        }
        return saved;
    }

    /// Goes on from what [#saved] gave; of each layer of this model.
    ///
    /// @throws IllegalArgumentException if one is missing
    public void load(Function<String, float[]> saved) {
        State s = allocated();
        float[] scales = new float[types.size()];
        float[] history = new float[types.size() * HISTORY];
        for (int l = 0; l < names.size(); l++) {
            float[] layer = saved.apply(names.get(l));
            System.arraycopy(layer, 0, scales, SITES * l, SITES);
            System.arraycopy(layer, SITES, history, SITES * HISTORY * l, SITES * HISTORY);
        }
        s.scales.copyFrom(scales);
        s.history.copyFrom(history);
        fresh = false;
    }
}
