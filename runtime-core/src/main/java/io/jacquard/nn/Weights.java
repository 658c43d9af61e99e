package io.jacquard.nn;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// All parameters of a model: names over one flat tensor of values and one of gradients.
///
/// Layers declare parameters under a path (`weights.in("h").in(3).declare("attn.c_attn.weight", ...)`); then
/// [#allocate] makes the two flat tensors in the current scope. Every parameter starts at a multiple of [#ALIGNMENT]
/// elements; the gaps are zero.
///
/// Consecutive parameters of one [#segment] (embedding, one block, head) form a range of the flat tensors, which can
/// also have memory of its own: [#bind] instead of [#allocate].
public final class Weights {
    /// Elements. One entry of the optimizer's decay table covers this many, and 256 elements keep every parameter
    /// on a 512-byte boundary even in two-byte dtypes.
    public static final int ALIGNMENT = 256;

    /// A range of the flat tensors that belongs together: embedding, one block, head.
    ///
    /// @param name what [Weights#segment] called it; empty for what was declared before the first
    /// @param offset where it starts, in elements
    /// @param elements how many, a multiple of [Weights#ALIGNMENT] times the number of shards
    public record Segment(String name, long offset, long elements) {
        boolean holds(long element) {
            return element >= offset && element < offset + elements;
        }
    }

    private final String path;
    private final Model model;

    private static final class Model {
        final Map<String, Parameter> parameters = new LinkedHashMap<>();
        final Map<String, Long> offsets = new LinkedHashMap<>();
        final Map<String, Integer> segmentOf = new HashMap<>();
        final Map<String, Long> segmentStarts = new LinkedHashMap<>();
        final int shards;
        long elements;
        boolean bound;

        Model(int shards) {
            this.shards = shards;
        }

        long padded() {
            long unit = (long) ALIGNMENT * shards;
            return (elements + unit - 1) / unit * unit;
        }

        @Nullable
        Tensor values;

        @Nullable
        Tensor gradients;
    }

    /// Empty, for one model.
    public Weights() {
        this(1);
    }

    /// Empty, for one model whose segments are padded so that each divides into `shards` equal parts of whole
    /// [#ALIGNMENT] blocks.
    ///
    /// @throws IllegalArgumentException if `shards` is not positive
    public Weights(int shards) {
        if (shards < 1) {
            throw new IllegalArgumentException("weights: " + shards + " shards; expected at least 1");
        }
        this("", new Model(shards));
    }

    private Weights(String path, Model model) {
        this.path = path;
        this.model = model;
    }

    /// The same weights, with names below `name`.
    public Weights in(String name) {
        return new Weights(path + name + ".", model);
    }

    /// The same weights, with names below `index`: `in("h").in(3)` is `h.3.`.
    public Weights in(int index) {
        return in(Integer.toString(index));
    }

    /// What is declared from here on belongs to the segment `name`.
    public Weights segment(String name) {
        if (!model.segmentStarts.containsKey(name)) {
            model.elements = model.padded();
            model.segmentStarts.put(name, model.elements);
        }
        return this;
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
        return declare(name, shape, Slice.all(shape), init);
    }

    /// As [#declare(String, Shape, Init)], for a rank that holds `slice` of a parameter whose whole has shape
    /// `logical`.
    public Parameter declare(String name, Shape logical, Slice slice, Init init) {
        if (model.bound) {
            throw new IllegalStateException("weights: '" + path + name + "' is declared after allocate()");
        }
        Parameter p = new Parameter(path + name, logical, slice, init);
        if (model.parameters.putIfAbsent(p.name(), p) != null) {
            throw new IllegalArgumentException("weights: '" + p.name() + "' is declared twice");
        }
        model.offsets.put(p.name(), model.elements);
        model.segmentOf.put(p.name(), Math.max(0, segments().size() - 1));
        model.elements += (p.shape().elements() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
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
        Shape flat = Shape.of(Math.toIntExact(model.padded()));
        Tensor v = Tensor.zeros(flat, values).named("weights");
        Tensor g = Tensor.zeros(flat, gradients).named("gradients"); // the gaps stay zero: they count in no norm
        model.values = v;
        model.gradients = g;
        for (Segment s : segments()) {
            Shape range = Shape.of(Math.toIntExact(s.elements()));
            bind(s, v.slice(s.offset(), range), g.slice(s.offset(), range));
            initialise(s, seed);
        }
    }

    /// Gives the parameters of one segment other memory, for as long as it lives: `values` and `gradients`, each
    /// `[segment.elements()]`. The next backward overwrites these gradients. With segments bound one by one, and
    /// not by [#allocate], there are no [#values] and [#gradients] of the whole.
    ///
    /// @throws IllegalArgumentException if the segment is not one of this model's, or the sizes differ
    public void bind(Segment segment, Tensor values, Tensor gradients) {
        if (!segments().contains(segment)) {
            throw new IllegalArgumentException("weights: " + segment + " is not among " + segments());
        }
        if (values.size() != segment.elements() || gradients.size() != segment.elements()) {
            throw new IllegalArgumentException("weights: segment '" + segment.name() + "' of " + segment.elements()
                    + " elements cannot be bound to values " + values + " and gradients " + gradients);
        }
        model.bound = true;
        for (Parameter p : parametersOf(segment)) {
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
            int dim = p.slice().dim();
            long[] from = strides(p.logicalShape());
            long[] to = strides(p.shape());
            int at = 0;
            for (Slice.Range r : p.slice().ranges()) {
                int[] sizes = p.shape().toArray();
                sizes[dim] = r.length();
                value.kernels().copy(value, at * to[dim], to, whole, r.from() * from[dim], from, sizes, 0f);
                at += r.length();
            }
        }
    }

    private static long[] strides(Shape s) {
        long[] strides = new long[s.rank()];
        long n = 1;
        for (int i = s.rank() - 1; i >= 0; i--) {
            strides[i] = n;
            n *= s.dim(i);
        }
        return strides;
    }

    /// The parameters of one segment, in the order of declaration.
    public List<Parameter> parametersOf(Segment segment) {
        int index = segments().indexOf(segment);
        return model.parameters.values().stream()
                .filter(p -> Objects.equals(model.segmentOf.get(p.name()), index))
                .toList();
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
        Long offset = model.offsets.get(p.name());
        if (offset == null) {
            throw new IllegalArgumentException("weights: " + p + " is of another model");
        }
        return offset;
    }

    /// The segments in order; each ends where the next begins, and together they are the flat tensors.
    public List<Segment> segments() {
        List<Map.Entry<String, Long>> starts = new ArrayList<>(model.segmentStarts.entrySet());
        if (starts.isEmpty() || starts.getFirst().getValue() > 0) {
            starts.addFirst(Map.entry("", 0L));
        }
        List<Segment> list = new ArrayList<>();
        for (int i = 0; i < starts.size(); i++) {
            long from = starts.get(i).getValue();
            long to = i + 1 < starts.size() ? starts.get(i + 1).getValue() : model.padded();
            list.add(new Segment(starts.get(i).getKey(), from, to - from));
        }
        return list;
    }

    /// How many trainable numbers this rank holds, gaps not counted.
    public long count() {
        return model.parameters.values().stream()
                .mapToLong(p -> p.shape().elements())
                .sum();
    }

    /// How many trainable numbers all ranks of the tensor group hold together, copies counted once.
    public long logicalCount() {
        return model.parameters.values().stream()
                .mapToLong(p -> p.logicalShape().elements())
                .sum();
    }

    /// The next backward overwrites gradients instead of adding to them.
    public void freshGradients() {
        model.parameters.values().forEach(p -> sink(p).fresh());
    }

    /// Sets to zero the gradients that no backward has written since [#freshGradients].
    public void settleGradients() {
        model.parameters.values().forEach(p -> sink(p).settle());
    }

    private static Tensor.Sink sink(Parameter p) {
        Tensor.Sink sink = p.value().sink();
        if (sink == null) {
            throw new AssertionError(p + " has no sink");
        }
        return sink;
    }
}
