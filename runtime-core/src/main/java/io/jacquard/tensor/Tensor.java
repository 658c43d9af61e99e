package io.jacquard.tensor;

import io.jacquard.tensor.spi.Casts;
import io.jacquard.tensor.spi.Kernels;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// An immutable handle on device memory: storage, offset, shape and element type; always contiguous. With a node it
/// knows how it was made and gradients flow through it.
///
/// Operations are in `io.jacquard.ops.Ops`; this class knows only memory and the graph. The values can change under the
/// handle: by `copyFrom`, by an optimizer, by the few operations that say that they work in place.
///
/// **Memory**: lives until the scope it was allocated in closes, or until backward has freed it; later use is an
/// `IllegalStateException` that says which. Views share the memory.
///
/// **Thread**: the thread of its session.
public final class Tensor {
    private final Storage storage;
    private final long byteOffset;
    private final Shape shape;
    private final DType dtype;
    private final @Nullable Node node;
    private final @Nullable Sink sink;
    private final boolean needsGradient;
    private final long id;
    private final @Nullable String name;
    private final Casts casts;

    private Tensor(
            Storage storage,
            long byteOffset,
            Shape shape,
            DType dtype,
            @Nullable Node node,
            @Nullable Sink sink,
            boolean needsGradient,
            @Nullable String name) {
        this(storage, byteOffset, shape, dtype, node, sink, needsGradient, name, Casts.NONE);
    }

    private Tensor(
            Storage storage,
            long byteOffset,
            Shape shape,
            DType dtype,
            @Nullable Node node,
            @Nullable Sink sink,
            boolean needsGradient,
            @Nullable String name,
            Casts casts) {
        this.storage = storage;
        this.byteOffset = byteOffset;
        this.shape = shape;
        this.dtype = dtype;
        this.node = node;
        this.sink = sink;
        this.needsGradient = needsGradient;
        this.name = name;
        this.casts = casts;
        this.id = storage.session.nextId();
    }

    /// Where the gradient of a leaf goes. The first write after [#fresh] overwrites, later ones accumulate: a step
    /// needs no pass that sets gradients to zero.
    public static final class Sink {
        final Tensor gradient;
        private boolean written;

        Sink(Tensor gradient) {
            this.gradient = gradient;
        }

        float beta() {
            float beta = written ? 1f : 0f;
            written = true;
            return beta;
        }

        /// The next write overwrites.
        public void fresh() {
            written = false;
        }

        /// Sets the gradient to zero if nothing was written since [#fresh].
        public void settle() {
            if (!written) {
                gradient.kernels().fill(gradient, 0f);
                written = true;
            }
        }

        /// The memory that receives the gradient; what it holds before the first write is of no meaning.
        public Tensor gradient() {
            return gradient;
        }
    }

    // ---- making

    /// Memory with arbitrary content, in the current scope.
    ///
    /// @throws IllegalStateException if no scope is open on this thread
    /// @throws DeviceOutOfMemoryException if the device, or the arena of the scope, has no room
    public static Tensor empty(Shape shape, DType dtype) {
        return allocate(Scope.current(), shape, dtype);
    }

    static Tensor allocate(Scope scope, Shape shape, DType dtype) {
        Storage s = scope.allocate(dtype.bytes(shape.elements()), new Storage.Content(shape, dtype));
        return new Tensor(s, 0, shape, dtype, null, null, false, null);
    }

    /// A value that exists only as the low-precision copies of `casts`: it has a shape, a dtype and a place in the
    /// graph, but no memory. Reading it is an `IllegalStateException`.
    public static Tensor onlyAs(Casts casts, Shape shape, DType dtype) {
        Storage s = Scope.current().nothing(new Storage.Content(shape, dtype));
        return new Tensor(s, 0, shape, dtype, null, null, false, null, casts);
    }

    /// As [#empty], filled with zeros on the device.
    public static Tensor zeros(Shape shape, DType dtype) {
        Tensor t = empty(shape, dtype);
        t.kernels().fill(t, 0f);
        return t;
    }

    /// An F32 tensor of these values, row-major, in the current scope. `Tensor.of(shape, 1)` is I32: write `1f`.
    ///
    /// @throws IllegalArgumentException if there are not as many values as elements
    public static Tensor of(Shape shape, float... values) {
        Tensor t = empty(shape, DType.F32);
        t.copyFrom(values);
        return t;
    }

    /// An I32 tensor of these values, row-major, in the current scope.
    ///
    /// @throws IllegalArgumentException if there are not as many values as elements
    public static Tensor of(Shape shape, int... values) {
        Tensor t = empty(shape, DType.I32);
        t.copyFrom(values);
        return t;
    }

    // ---- properties

    /// The sizes of the dimensions.
    public Shape shape() {
        return shape;
    }

    /// The type of the elements.
    public DType dtype() {
        return dtype;
    }

    /// The device whose memory it is.
    public Device device() {
        return storage.session.device();
    }

    /// How many elements.
    public long size() {
        return shape.elements();
    }

    /// How many bytes the elements take.
    public long bytes() {
        return dtype.bytes(size());
    }

    /// The device address of the first element.
    ///
    /// @throws IllegalStateException if the memory was freed; the message says by what
    public long address() {
        return storage.address(this) + byteOffset;
    }

    /// This value with what its producer makes of it in low precision, for the operation that reads that instead.
    public Tensor with(Casts made) {
        return new Tensor(storage, byteOffset, shape, dtype, node, sink, needsGradient, name, made);
    }

    /// What its producer has made of it in low precision.
    public Casts casts() {
        return casts;
    }

    /// What this tensor's device computes: for operations and optimizers. Kernels check nothing.
    public Kernels kernels() {
        return storage.session.kernels();
    }

    // ---- views: same memory, no gradient recorded (Ops.reshape and Ops.narrow record)

    /// The same elements in another shape. Refused where it would drop a gradient: use `Ops.reshape`.
    ///
    /// @throws IllegalArgumentException if the number of elements differs
    public Tensor reshape(Shape to) {
        if (to.equals(shape)) {
            return this;
        }
        checkView("reshape", "Ops.reshape");
        if (to.elements() != size()) {
            throw new IllegalArgumentException(
                    "reshape: " + shape + " has " + size() + " elements, " + to + " has " + to.elements());
        }
        return new Tensor(storage, byteOffset, to, dtype, null, null, false, name);
    }

    /// Indices `from` (inclusive) to `to` (exclusive) of the outermost dimension. Refused where it
    /// would drop a gradient: use `Ops.narrow`, which copies.
    ///
    /// @throws IllegalArgumentException if they are not all there
    public Tensor rows(int from, int to) {
        checkView("rows", "Ops.narrow");
        if (shape.rank() == 0 || from < 0 || from > to || to > shape.dim(0)) {
            throw new IllegalArgumentException("rows: " + from + " to " + to + " is not inside " + shape);
        }
        int[] dims = shape.toArray();
        long row = dims[0] == 0 ? 0 : size() / dims[0];
        dims[0] = to - from;
        return new Tensor(
                storage, byteOffset + dtype.bytes(row * from), Shape.of(dims), dtype, null, null, false, name);
    }

    /// `shape` elements from element `offset` on, whatever this tensor's own shape. Refused as [#rows] is.
    ///
    /// @throws IllegalArgumentException if they are not all there
    public Tensor slice(long offset, Shape shape) {
        checkView("slice", "Ops.narrow");
        if (offset < 0 || offset + shape.elements() > size()) {
            throw new IllegalArgumentException(
                    "slice: elements " + offset + " to " + (offset + shape.elements()) + " are not inside " + this);
        }
        return new Tensor(storage, byteOffset + dtype.bytes(offset), shape, dtype, null, null, false, name);
    }

    private void checkView(String view, String recording) {
        if (needsGradient) {
            throw new IllegalStateException(view + ": " + this + " carries a gradient that a view would drop; use "
                    + recording + ", or detach() it first");
        }
    }

    // ---- the graph

    /// This value as the start of a graph: [Gradients#of] can return its gradient.
    public Tensor leaf() {
        return new Tensor(storage, byteOffset, shape, dtype, null, null, true, name);
    }

    /// This value as a leaf whose gradient is written into `gradient`, of the same shape; its dtype may be F32
    /// where the value's is BF16 or F16.
    ///
    /// @throws IllegalArgumentException if the shapes differ
    public Tensor leaf(Tensor gradient, String name) {
        if (!gradient.shape.equals(shape)) {
            throw new IllegalArgumentException("leaf: gradient " + gradient.shape + " for a value " + shape);
        }
        return new Tensor(storage, byteOffset, shape, dtype, null, new Sink(gradient), true, name);
    }

    /// This value without its past: no gradient flows back through it.
    public Tensor detach() {
        return needsGradient ? new Tensor(storage, byteOffset, shape, dtype, null, null, false, name) : this;
    }

    /// Attaches the way back, unless the scope records nothing or no input wants a gradient: for operations, whose
    /// last line it is. The result is another handle on the same memory.
    public Tensor from(Node node) {
        return records(node.inputs()) ? recorded(node) : this;
    }

    /// Whether [#from] would attach a node with these inputs here: for operations that can save memory where not.
    public static boolean records(List<Tensor> inputs) {
        return Scope.current().recordsGradients() && inputs.stream().anyMatch(t -> t.needsGradient);
    }

    /// As [#from] where a gradient is wanted by what the inputs do not show: the weights inside a recomputed block.
    public Tensor fromAlways(Node node) {
        return Scope.current().recordsGradients() ? recorded(node) : this;
    }

    private Tensor recorded(Node made) {
        storage.graphUses++;
        storage.madeBy(made);
        made.saved().forEach(t -> t.storage.madeBy(made));
        return new Tensor(storage, byteOffset, shape, dtype, made, null, true, name, casts);
    }

    /// Runs backward from this scalar: every leaf with a sink (each parameter) receives its gradient. Waits for
    /// nothing.
    ///
    /// **Memory**: frees the activations on the way; a second backward through them fails.
    ///
    /// @throws IllegalArgumentException if it is not of one element
    /// @throws IllegalStateException if nothing that it depends on wants a gradient
    public void backward() {
        if (size() != 1) {
            throw new IllegalArgumentException(
                    "backward: " + this + " is not a scalar; give its gradient to Gradients.of");
        }
        Gradients.of(this, null);
    }

    /// Whether backward computes a gradient for this value: it is a leaf, or was made from one and recorded.
    public boolean needsGradient() {
        return needsGradient;
    }

    /// Where this leaf's gradient goes, or null.
    public @Nullable Sink sink() {
        return sink;
    }

    @Nullable
    Node node() {
        return node;
    }

    long id() {
        return id;
    }

    Storage storage() {
        return storage;
    }

    // ---- host

    /// Copies host values in, row-major; F32 only. The array may be changed after the call.
    ///
    /// @throws IllegalArgumentException if dtype or number of elements differ
    /// @throws IllegalStateException during capture
    public void copyFrom(float[] values) {
        upload("float", DType.F32, values.length, MemorySegment.ofArray(values));
    }

    /// Copies host values in, row-major; I32 only. The array may be changed after the call.
    ///
    /// @throws IllegalArgumentException if dtype or number of elements differ
    /// @throws IllegalStateException during capture
    public void copyFrom(int[] values) {
        upload("int", DType.I32, values.length, MemorySegment.ofArray(values));
    }

    /// Copies raw bytes in, in the layout of the dtype (little-endian).
    public void copyFrom(MemorySegment bytes) {
        if (bytes.byteSize() != bytes()) {
            throw new IllegalArgumentException(
                    "copyFrom: " + bytes.byteSize() + " bytes into " + this + ", which has " + bytes());
        }
        storage.session.backend().upload(address(), bytes);
    }

    private void upload(String what, DType expected, int length, MemorySegment source) {
        if (dtype != expected || length != size()) {
            throw new IllegalArgumentException("copyFrom: " + length + " " + what + " values into " + this + " of "
                    + size() + " " + dtype + " elements");
        }
        storage.session.backend().upload(address(), source);
    }

    /// Copies the raw bytes out. Waits for the device.
    ///
    /// @throws IllegalArgumentException if the target has not exactly as many bytes
    /// @throws IllegalStateException during capture
    public void copyTo(MemorySegment bytes) {
        if (bytes.byteSize() != bytes()) {
            throw new IllegalArgumentException(
                    "copyTo: " + this + " has " + bytes() + " bytes, the target " + bytes.byteSize());
        }
        storage.session.backend().download(bytes, address());
    }

    /// The values, row-major, widened or converted to float. Waits for the device.
    ///
    /// @throws IllegalStateException during capture
    public float[] toFloats() {
        float[] values = new float[Math.toIntExact(size())];
        if (dtype == DType.F32) {
            copyTo(MemorySegment.ofArray(values));
            return values;
        }
        try (var _ = Scope.openWithoutGrad("toFloats")) {
            Tensor f = empty(shape, DType.F32);
            kernels().cast(f, this);
            f.copyTo(MemorySegment.ofArray(values));
        }
        return values;
    }

    /// The values of an I32 tensor, row-major. Waits for the device.
    ///
    /// @throws IllegalArgumentException if it is of another dtype
    /// @throws IllegalStateException during capture
    public int[] toInts() {
        if (dtype != DType.I32) {
            throw new IllegalArgumentException("toInts: " + this + " is not I32");
        }
        int[] values = new int[Math.toIntExact(size())];
        copyTo(MemorySegment.ofArray(values));
        return values;
    }

    /// The value of a one-element tensor. Waits for the device.
    ///
    /// @throws IllegalArgumentException if it has more or fewer elements
    /// @throws IllegalStateException during capture
    public float item() {
        if (size() != 1) {
            throw new IllegalArgumentException("item: " + this + " has " + size() + " elements, not one");
        }
        return toFloats()[0];
    }

    /// The name in messages.
    public @Nullable String name() {
        return name;
    }

    /// This value with a name for messages.
    ///
    /// @throws IllegalStateException for leaves and for the results of recorded operations
    public Tensor named(String name) {
        if (needsGradient) {
            throw new IllegalStateException(
                    "named: " + this + " is part of a graph; name the value before it is recorded");
        }
        storage.named(name);
        return new Tensor(storage, byteOffset, shape, dtype, null, null, false, name);
    }

    @Override
    public String toString() {
        return (name == null ? "" : "'" + name + "' ") + shape + " " + dtype;
    }
}
