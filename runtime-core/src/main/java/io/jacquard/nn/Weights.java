package io.jacquard.nn;

import io.jacquard.group.Group;
import io.jacquard.group.SoloGroup;
import io.jacquard.ops.DelayedScales;
import io.jacquard.ops.Ops;
import io.jacquard.ops.Recipe;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/// All parameters of a model: names over one flat tensor of values and one of gradients.
///
/// Layers declare parameters under a path (`weights.in("h").in(3).declare("attn.c_attn.weight", ...)`); then
/// [#allocate] makes the two flat tensors in the current scope. Every parameter starts at a multiple of [#ALIGNMENT]
/// elements; the gaps are zero.
///
/// The parameters of one segment (embedding, one block, head) form a range of the flat tensors, which can also have
/// memory of its own: [#bind] instead of [#allocate].
public final class Weights {
    /// Elements. One entry of the optimizer's decay table covers this many, and 256 elements keep every parameter
    /// on a 512-byte boundary even in two-byte dtypes.
    public static final int ALIGNMENT = 256;

    private static final Group ALONE = new SoloGroup();

    /// A range of the flat tensors that belongs together: embedding, one block, head.
    ///
    /// @param name what [Weights#segment] called it; empty for what was declared in none
    /// @param offset where it starts, in elements
    /// @param elements how many, a multiple of [Weights#ALIGNMENT] times the number of shards
    /// @param holders the ranks that hold the same segment, each with a part of its gradient
    /// @param isBlock whether its parameters are used inside [Weights#run] only
    public record Segment(String name, long offset, long elements, Group holders, boolean isBlock) {
        /// As many elements as the segment has.
        public Shape shape() {
            return Shape.of(Math.toIntExact(elements));
        }

        /// Whether this rank answers for the segment in sums over ranks and in files, and no other holder does.
        public boolean counts() {
            return holders.rank() == 0;
        }

        boolean holds(long element) {
            return element >= offset && element < offset + elements;
        }

        @Override
        public String toString() {
            return "'" + name + "' at " + offset + " of " + elements;
        }
    }

    /// Who provides the memory of blocks while a model runs.
    public interface Keeper {
        /// The values of `block` are read by what is launched from here on, until another is needed.
        void need(Segment block);

        /// Backward has written the gradients of `block` for one micro-batch.
        void written(Segment block);
    }

    private static final class Part {
        final Group holders;
        final boolean isBlock;
        final List<Parameter> parameters = new ArrayList<>();
        long elements;

        Part(Group holders, boolean isBlock) {
            this.holders = holders;
            this.isBlock = isBlock;
        }
    }

    private static final class Model {
        final Map<String, Parameter> parameters = new LinkedHashMap<>();
        final Map<String, Parameter> frozen = new LinkedHashMap<>();
        final Map<String, Part> parts = new LinkedHashMap<>();
        final int shards;
        final Precision precision;
        final @Nullable DelayedScales delayed;
        boolean bound;

        /// By name; made when first asked for, forgotten with each declaration.
        @Nullable
        Map<String, Segment> segments;

        @Nullable
        Map<String, Long> offsets;

        @Nullable
        Keeper keeper;

        @Nullable
        Tensor values;

        @Nullable
        Tensor gradients;

        Model(int shards, Precision precision) {
            this.shards = shards;
            this.precision = precision;
            delayed = precision.recipe().isDelayed() ? new DelayedScales() : null;
        }

        Map<String, Segment> segments() {
            Map<String, Segment> known = segments;
            if (known == null) {
                known = new LinkedHashMap<>();
                long offset = 0;
                for (Map.Entry<String, Part> e : parts.entrySet()) {
                    Part p = e.getValue();
                    long elements = roundUp(p.elements, (long) ALIGNMENT * shards);
                    known.put(e.getKey(), new Segment(e.getKey(), offset, elements, p.holders, p.isBlock));
                    offset += elements;
                }
                segments = known;
            }
            return known;
        }

        Map<String, Long> offsets() {
            Map<String, Long> known = offsets;
            if (known == null) {
                known = new HashMap<>();
                for (Segment s : segments().values()) {
                    long at = s.offset;
                    for (Parameter p : parametersOf(s)) {
                        known.put(p.name(), at);
                        at += roundUp(p.shape().elements(), ALIGNMENT);
                    }
                }
                offsets = known;
            }
            return known;
        }

        List<Parameter> parametersOf(Segment s) {
            Part part = parts.get(s.name);
            if (part == null || !s.equals(segments().get(s.name))) {
                throw new IllegalArgumentException("weights: segment " + s + " is not among "
                        + segments().values().stream().map(Segment::toString).toList());
            }
            return part.parameters;
        }
    }

    private static long roundUp(long n, long unit) {
        return (n + unit - 1) / unit * unit;
    }

    private final Model model;
    private final String path;
    private final String segment;
    private final Recipe recipe;

    /// Empty, for one model.
    public Weights() {
        this(1);
    }

    /// Empty, for one model whose segments are padded so that each divides into `shards` equal parts of whole
    /// [#ALIGNMENT] blocks.
    ///
    /// @throws IllegalArgumentException if `shards` is not positive
    public Weights(int shards) {
        this(shards, Precision.DTYPE);
    }

    /// As [#Weights(int)], for a model whose linear layers multiply in this precision.
    ///
    /// @throws IllegalArgumentException if `shards` is not positive
    public Weights(int shards, Precision precision) {
        if (shards < 1) {
            throw new IllegalArgumentException("weights: " + shards + " shards; expected at least 1");
        }
        this(new Model(shards, precision), "", "", Recipe.DTYPE);
    }

    private Weights(Model model, String path, String segment, Recipe recipe) {
        this.model = model;
        this.path = path;
        this.segment = segment;
        this.recipe = recipe;
    }

    /// The same weights, with names below `name`.
    public Weights in(String name) {
        return new Weights(model, path + name + ".", segment, recipe);
    }

    /// The same weights, with names below `index`: `in("h").in(3)` is `h.3.`.
    public Weights in(int index) {
        return in(Integer.toString(index));
    }

    /// The same weights, for declarations in the segment `name`. Segments lie in the order in which they came up.
    public Weights segment(String name) {
        return segment(name, ALONE, false);
    }

    /// As [#segment], for a block: what is declared there is used inside [#run] only.
    public Weights block(String name) {
        return segment(name, ALONE, true);
    }

    /// The same weights, for block `layer` of `layers`: its linear layers multiply as the model's [Precision] says.
    Weights layer(int layer, int layers) {
        return new Weights(model, path, segment, model.precision.of(layer, layers));
    }

    /// How linear layers that are declared here multiply.
    Recipe recipe() {
        return recipe;
    }

    /// Room for the scales of one more linear layer; null where the recipe here needs none of steps before.
    DelayedScales.@Nullable Layer delayedLayer() {
        return recipe.isDelayed() && model.delayed != null
                ? model.delayed.layer(path.substring(0, path.length() - 1))
                : null;
    }

    /// The scales that go from step to step, which [#allocate] gives memory; null where the precision has none.
    public @Nullable DelayedScales delayedScales() {
        return model.delayed;
    }

    /// As [#segment], for parameters that all ranks of `holders` hold, while each writes a part of their gradient:
    /// the gradient is the sum over them.
    public Weights copies(String name, Group holders) {
        return segment(name, holders, false);
    }

    private Weights segment(String name, Group holders, boolean isBlock) {
        model.parts.computeIfAbsent(name, _ -> new Part(holders, isBlock));
        return new Weights(model, path, name, recipe);
    }

    /// The path of `name` here, as an integer: the site of random numbers (dropout, initialisation). It is
    /// `String.hashCode` of the full path, which the Java language fixes.
    public int site(String name) {
        return (path + name).hashCode();
    }

    /// Declares a parameter of this name below the path; no memory exists yet.
    ///
    /// @throws IllegalArgumentException if there is one of this name
    /// @throws IllegalStateException after [#allocate]
    public Parameter declare(String name, Shape shape, Init init) {
        return declare(name, shape, List.of(Slice.all(shape)), 0, init);
    }

    /// As [#declare(String, Shape, Init)], for rank `mine` of a tensor group whose ranks hold `slices` of a
    /// parameter of shape `logical`.
    public Parameter declare(String name, Shape logical, List<Slice> slices, int mine, Init init) {
        if (model.bound) {
            throw new IllegalStateException("weights: '" + path + name + "' is declared after allocate()");
        }
        Parameter p = new Parameter(path + name, logical, slices, mine, init);
        boolean isFrozen = recipe.isFrozen() && logical.rank() == 2;
        if (model.frozen.containsKey(p.name())
                || (isFrozen ? model.frozen : model.parameters).putIfAbsent(p.name(), p) != null) {
            throw new IllegalArgumentException("weights: '" + p.name() + "' is declared twice");
        }
        if (isFrozen) {
            return p;
        }
        Part part = model.parts.computeIfAbsent(segment, _ -> new Part(ALONE, false));
        part.parameters.add(p);
        part.elements += roundUp(p.shape().elements(), ALIGNMENT);
        model.segments = null;
        model.offsets = null;
        return p;
    }

    /// Allocates and initialises everything in the current scope: all segments in one flat tensor of values and one
    /// of gradients, which optimizers update in one launch. A value does not depend on the order of declaration or
    /// on how the model is sharded.
    ///
    /// @param values dtype of the weights
    /// @param gradients dtype of the gradients: that of the values to save memory, F32 to accumulate long
    public void allocate(DType values, DType gradients, long seed) {
        if (model.bound) {
            throw new IllegalStateException("weights: allocate() was called before");
        }
        Shape flat = Shape.of(Math.toIntExact(elements()));
        Tensor v = Tensor.zeros(flat, values).named("weights");
        Tensor g = Tensor.zeros(flat, gradients).named("gradients"); // the gaps stay zero: they count in no norm
        model.values = v;
        model.gradients = g;
        if (model.delayed != null) {
            model.delayed.allocate();
        }
        for (Segment s : segments()) {
            bind(s, v.slice(s.offset(), s.shape()), g.slice(s.offset(), s.shape()));
            initialise(s, seed);
        }
    }

    /// How many elements the flat tensors have: all segments, gaps included.
    public long elements() {
        return segments().stream().mapToLong(Segment::elements).sum();
    }

    /// Gives the parameters of one segment other memory, for as long as it lives: `values` and `gradients`, each
    /// `[segment.elements()]`. The next backward overwrites these gradients. With segments bound one by one, and
    /// not by [#allocate], there are no [#values] and [#gradients] of the whole.
    ///
    /// @throws IllegalArgumentException if the segment is not one of this model's, or the sizes differ
    public void bind(Segment segment, Tensor values, Tensor gradients) {
        List<Parameter> parameters = parametersOf(segment);
        if (values.size() != segment.elements() || gradients.size() != segment.elements()) {
            throw new IllegalArgumentException("weights: segment '" + segment.name() + "' of " + segment.elements()
                    + " elements cannot be bound to values " + values + " and gradients " + gradients);
        }
        model.bound = true;
        for (Parameter p : parameters) {
            long at = offset(p) - segment.offset();
            p.bind(values.slice(at, p.shape()).leaf(gradients.slice(at, p.shape()), p.name()));
        }
    }

    /// Writes the first values of a segment's parameters. A value depends only on `seed`, the parameter's name and
    /// the element's index in the whole parameter, whatever slice of it is here. Zeros are left to whoever made the
    /// memory.
    ///
    /// **Memory**: for a slice, the whole parameter while its values are drawn.
    public void initialise(Segment segment, long seed) {
        for (Parameter p : parametersOf(segment)) {
            Tensor value = p.value().detach();
            if (p.init().deviation() > 0f) {
                draw(p, value, seed);
            } else if (p.init().constant() != 0f) {
                value.kernels().fill(value, p.init().constant());
            }
        }
    }

    private static void draw(Parameter p, Tensor value, long seed) {
        float deviation = p.init().deviation();
        int site = p.name().hashCode();
        if (p.shape().equals(p.logicalShape())) {
            value.kernels().random(value, deviation, seed, site);
            return;
        }
        try (var _ = Scope.openWithoutGrad("initial values")) {
            Tensor whole = Tensor.empty(p.logicalShape(), value.dtype());
            whole.kernels().random(whole, deviation, seed, site);
            p.take(value, whole);
        }
    }

    /// Has `keeper` told, from here on, when blocks run.
    public void keep(Keeper keeper) {
        model.keeper = keeper;
    }

    /// Runs the layers of the block that these weights are [#block] of: tells the keeper, and recomputes if asked.
    Tensor run(Tensor x, boolean recompute, UnaryOperator<Tensor> layers) {
        Segment s = segmentOfName(segment);
        Keeper keeper = model.keeper;
        if (keeper == null) {
            return recompute ? Ops.recompute(layers, x) : layers.apply(x);
        }
        // inside what is recomputed: backward there is whole, when that around it comes in two parts
        UnaryOperator<Tensor> kept = h -> {
            keeper.need(s);
            return layers.apply(Ops.afterBackward(h, () -> keeper.written(s)));
        };
        return recompute ? Ops.recompute(kept, x) : Ops.beforeBackward(kept.apply(x), () -> keeper.need(s));
    }

    private Segment segmentOfName(String name) {
        Segment s = model.segments().get(name);
        if (s == null) {
            throw new AssertionError("no segment '" + name + "'");
        }
        return s;
    }

    /// The parameters of one segment, in the order of declaration.
    ///
    /// @throws IllegalArgumentException if the segment is not one of this model's
    public List<Parameter> parametersOf(Segment segment) {
        return List.copyOf(model.parametersOf(segment));
    }

    /// The flat values, `[elements]`: every parameter at its [#offset], zeros between them.
    ///
    /// @throws IllegalStateException before [#allocate]
    public Tensor values() {
        return allocated(model.values);
    }

    /// The flat gradients, laid out as the values; [#settleGradients] first, if some parameter may have received
    /// none.
    ///
    /// @throws IllegalStateException before [#allocate]
    public Tensor gradients() {
        return allocated(model.gradients);
    }

    private static Tensor allocated(@Nullable Tensor t) {
        if (t == null) {
            throw new IllegalStateException("weights: no memory yet; call allocate() after building the model");
        }
        return t;
    }

    /// All parameters in the order of declaration.
    public List<Parameter> parameters() {
        return List.copyOf(model.parameters.values());
    }

    /// The matrices of a [Recipe#INT4_GROUP] precision: no parameters, since nothing changes them, and without a
    /// value until [Parameter#freeze].
    public List<Parameter> frozen() {
        return List.copyOf(model.frozen.values());
    }

    /// The parameter of this full path.
    ///
    /// @throws IllegalArgumentException if there is none
    public Parameter parameter(String name) {
        Parameter p = model.parameters.get(name);
        if (p == null) {
            throw new IllegalArgumentException("weights: no parameter '" + name + "'");
        }
        return p;
    }

    /// Where `p` starts in the flat tensors, in elements.
    public long offset(Parameter p) {
        Long offset = model.offsets().get(p.name());
        if (offset == null) {
            throw new IllegalArgumentException("weights: " + p + " is of another model");
        }
        return offset;
    }

    /// The segments in order; each ends where the next begins, and together they are the flat tensors.
    public List<Segment> segments() {
        return List.copyOf(model.segments().values());
    }

    /// How many trainable numbers this rank holds, gaps not counted.
    public long count() {
        return model.parameters.values().stream()
                .mapToLong(p -> p.shape().elements())
                .sum();
    }

    /// The next backward overwrites gradients instead of adding to them.
    public void freshGradients() {
        model.parameters.values().forEach(p -> p.sink().fresh());
    }

    /// As [#freshGradients()], for one segment.
    public void freshGradients(Segment segment) {
        model.parametersOf(segment).forEach(p -> p.sink().fresh());
    }

    /// Sets to zero the gradients that no backward has written since [#freshGradients()].
    public void settleGradients() {
        model.parameters.values().forEach(p -> p.sink().settle());
    }

    /// As [#settleGradients()], for one segment.
    public void settleGradients(Segment segment) {
        model.parametersOf(segment).forEach(p -> p.sink().settle());
    }
}
