package io.jacquard.ops;

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
/// come from: on the device, moved on by one launch a step.
///
/// Until the first [#step], scales are those of the tensors at hand.
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

    private record State(Tensor scales, Tensor history, Tensor amax, Tensor largest) {}

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

        /// Whether [#scale] is that of steps before, so that [#see] does not change it.
        boolean isSettled() {
            return !fresh;
        }

        /// The largest magnitude in this step so far, F32 `[1]`.
        Tensor amax() {
            return allocated().amax.slice(index, Shape.of(1));
        }

        /// Takes notice of `x`, whose scale [#scale] then is.
        void see(Tensor x) {
            Tensor amax = amax();
            x.kernels().absMax(amax, x, 1f);
            if (fresh) {
                x.kernels().scaleOf(scale(), amax, types.get(index));
            }
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

    /// Gives all of them memory in the current scope.
    public void allocate() {
        int n = types.size();
        float[] largest = new float[n];
        for (int i = 0; i < n; i++) {
            largest[i] = types.get(i).largest();
        }
        Tensor scales = Tensor.zeros(Shape.of(n), DType.F32).named("delayed scales");
        scales.kernels().fill(scales, 1f);
        state = new State(
                scales,
                Tensor.zeros(Shape.of(n, HISTORY), DType.F32).named("largest magnitudes of steps"),
                Tensor.zeros(Shape.of(n), DType.F32).named("largest magnitudes"),
                Tensor.of(Shape.of(n), largest).named("largest values of types"));
    }

    private State allocated() {
        if (state == null) {
            throw new IllegalStateException("delayed scales: no memory yet; call allocate() after building the model");
        }
        return state;
    }

    /// Ends an optimizer step: what was seen in it counts from the next one on. Waits for nothing.
    public void step() {
        State s = allocated();
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
