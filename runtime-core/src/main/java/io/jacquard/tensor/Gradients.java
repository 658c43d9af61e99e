package io.jacquard.tensor;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// One run of reverse-mode differentiation: visits the graph newest tensor first, which is a reverse topological order
/// because a tensor is always younger than what it was made from. Each activation and gradient is freed as soon as
/// its last reader has run.
public final class Gradients {
    private static final String GRADIENT = "was a gradient, freed after its last use";

    private final Scope scope = Scope.current();
    private final Map<Tensor, Tensor> pending = new IdentityHashMap<>();
    private final PriorityQueue<Tensor> order = new PriorityQueue<>((a, b) -> Long.compare(b.id(), a.id()));
    private final @Nullable Deque<Late> late;
    private List<Tensor> ofNode = List.of();
    private final List<Tensor> temporaries = new ArrayList<>();

    /// @param late where the writers of weights go; null: none is put off
    private Gradients(@Nullable Deque<Late> late) {
        this.late = late;
    }

    /// Writes a gradient: overwrites `destination` when `beta` is 0, adds to it when 1.
    @FunctionalInterface
    public interface Writer {
        /// Writes to `destination`, of the input's shape; its dtype may be F32 where the input's is BF16 or
        /// F16.
        void write(Tensor destination, float beta);
    }

    /// Where to write a gradient: into `tensor`, overwriting when `beta` is 0, adding when 1.
    public record Target(Tensor tensor, float beta) {}

    /// What was put off, and the memory that must stay as it is until then.
    private record Late(Runnable work, List<Storage> reads) {}

    /// Lets `writer` write or accumulate the gradient of `input`; does nothing when nobody wants it.
    ///
    /// **Memory**: a [#split] runs the writers of weights later, and keeps all tensors of the node until then.
    /// Where that is more than `writer` reads, name what it reads instead.
    public void add(Tensor input, Writer writer) {
        add(input, writer, ofNode);
    }

    /// As [#add(Tensor, Writer)], for a writer that reads no more than `reads` of the tensors of its node.
    public void add(Tensor input, Writer writer, Tensor... reads) {
        add(input, writer, List.of(reads));
    }

    private void add(Tensor input, Writer writer, List<Tensor> reads) {
        Tensor.Sink sink = input.sink();
        if (late != null && sink != null) {
            List<Storage> held = reads.stream().map(Tensor::storage).toList();
            held.forEach(s -> s.lateReads++);
            late.add(new Late(() -> writer.write(sink.gradient(), sink.beta()), held));
            return;
        }
        Target t = target(input);
        if (t != null) {
            writer.write(t.tensor, t.beta);
        }
    }

    /// For the node that is visited: `tensors`, made in its backward, are freed after it, and where a writer that
    /// was put off names them, after that.
    public void temporary(List<Tensor> tensors) {
        temporaries.addAll(tensors);
    }

    /// The target for the gradient of `input`, for kernels that write several at once; null when nobody wants it.
    /// Whoever takes a target must write it.
    public @Nullable Target target(Tensor input) {
        if (!input.needsGradient()) {
            return null;
        }
        Tensor.Sink sink = input.sink();
        if (sink != null) {
            return new Target(sink.gradient(), sink.beta());
        }
        Tensor g = pending.get(input);
        if (g == null) {
            g = allocate(input);
            put(input, g);
            return new Target(g, 0f);
        }
        if (readers(g.storage()) > 1) { // somebody else still reads it: copy on write
            Tensor own = allocate(input);
            own.kernels().axpby(own, 1f, g, 0f);
            g.storage().gradientShares--;
            freeIfUnused(g.storage(), GRADIENT);
            own.storage().gradientShares++;
            pending.put(input, own);
            g = own;
        }
        return new Target(g, 1f);
    }

    /// For nodes that leave the gradient unchanged: that of `input` is `dy` itself (same elements, any shape):
    /// handed on without a copy where possible.
    public void pass(Tensor input, Tensor dy) {
        if (!input.needsGradient()) {
            return;
        }
        if (input.sink() == null && !pending.containsKey(input) && input.dtype() == dy.dtype()) {
            put(input, dy.reshape(input.shape()));
        } else {
            add(input, (dx, beta) -> dx.kernels().axpby(dx, 1f, dy, beta), dy);
        }
    }

    /// Whether nobody but the node that is given `dy` reads it: then it may write into it, and hand it on.
    public boolean mayOverwrite(Tensor dy) {
        return readers(dy.storage()) == 1;
    }

    private static int readers(Storage s) {
        return s.gradientShares + s.lateReads;
    }

    /// Runs `action` when the gradients of weights that have come so far are written: at once, but in a [#split].
    public void then(Runnable action) {
        if (late == null) {
            action.run();
        } else {
            late.add(new Late(action, List.of()));
        }
    }

    private void put(Tensor input, Tensor gradient) {
        gradient.storage().gradientShares++;
        pending.put(input, gradient);
        order.add(input);
    }

    private Tensor allocate(Tensor like) {
        Tensor gradient = Tensor.allocate(scope, like.shape(), like.dtype());
        gradient.storage().gradientOf(like.storage());
        return gradient;
    }

    /// Runs backward from `y`, whose gradient is `dy` (null: ones), and returns the gradients of `wanted`, which
    /// must be leaves of [Tensor#leaf()]; null where nothing flowed, and for leaves with a sink, which receive
    /// theirs there.
    ///
    /// **Memory**: the results belong to the current scope. Activations of the current scope are freed after their
    /// last use; `y`, `dy` and `wanted` are not.
    ///
    /// @throws IllegalStateException if nothing that `y` depends on wants a gradient
    public static List<@Nullable Tensor> of(Tensor y, @Nullable Tensor dy, Tensor... wanted) {
        return new Gradients(null).run(y, dy, wanted);
    }

    /// As [#of], in two parts (Qi et al., arXiv:2401.10241): this call computes the gradients of `wanted`, and
    /// [Split#weights] later those of the leaves that have a sink. Kernels that write both at once run now, and so
    /// does all of a recomputed block. The same bits as by [#of], if micro-batches come to both parts in one order.
    ///
    /// **Memory**: what the second part reads stays until it has run, or the current scope closes.
    ///
    /// @throws IllegalStateException if nothing that `y` depends on wants a gradient
    public static Split split(Tensor y, @Nullable Tensor dy, Tensor... wanted) {
        Deque<Late> late = new ArrayDeque<>();
        Gradients g = new Gradients(late);
        return new Split(g.run(y, dy, wanted), g, late);
    }

    /// Backward whose gradients of weights are still to be written.
    public static final class Split {
        private final List<@Nullable Tensor> wanted;
        private final Gradients first;
        private final Deque<Late> late;

        private Split(List<@Nullable Tensor> wanted, Gradients first, Deque<Late> late) {
            this.wanted = wanted;
            this.first = first;
            this.late = late;
        }

        /// The gradients of the wanted leaves, as [Gradients#of] returns them.
        public List<@Nullable Tensor> wanted() {
            return wanted;
        }

        /// Writes the gradients that were left, and frees what only they needed. The second time does nothing.
        public void weights() {
            while (!late.isEmpty()) {
                Late next = late.remove();
                next.work.run();
                next.reads.forEach(first::haveBeenRead);
            }
        }
    }

    private List<@Nullable Tensor> run(Tensor y, @Nullable Tensor dy, Tensor... wanted) {
        if (!y.needsGradient()) {
            throw new IllegalStateException("backward: " + y + " depends on nothing that wants a gradient");
        }
        Tensor seed = dy;
        if (seed == null) {
            seed = allocate(y);
            seed.kernels().fill(seed, 1f);
        }
        seed.storage().gradientShares++; // the caller's: never written, never freed here
        pass(y, seed);
        Map<Tensor, Tensor> results = new IdentityHashMap<>();
        while (!order.isEmpty()) {
            visit(order.remove(), y, wanted, results);
        }
        seed.storage().gradientShares--;
        if (dy == null) {
            freeIfUnused(seed.storage(), "was the gradient of the result of backward"); // unless it is a wanted one
        }
        results.values().forEach(g -> g.storage().gradientShares--); // the caller's from here on
        List<@Nullable Tensor> list = new ArrayList<>();
        for (Tensor w : wanted) {
            list.add(results.get(w));
        }
        return list;
    }

    private void visit(Tensor t, Tensor root, Tensor[] wanted, Map<Tensor, Tensor> results) {
        Tensor dt = pending.remove(t);
        if (dt == null) {
            throw new AssertionError("no gradient for " + t);
        }
        Node node = t.node();
        if (node != null) {
            if (late != null) {
                ofNode = Stream.of(List.of(t, dt), node.inputs(), node.saved())
                        .flatMap(List::stream)
                        .toList();
            }
            node.backward(dt, this);
            t.storage().graphUses--;
            node.saved().forEach(s -> freeIfUnused(s.storage(), "was saved for backward and freed by it"));
            temporaries.forEach(s -> freeIfUnused(s.storage(), "was made by backward for one operation"));
            temporaries.clear();
        }
        for (Tensor w : wanted) {
            if (w == t) {
                results.put(t, dt);
                return;
            }
        }
        dt.storage().gradientShares--;
        freeIfUnused(dt.storage(), GRADIENT);
        if (node != null && t.storage() != root.storage() && !isView(t, node)) {
            freeIfUnused(t.storage(), "was freed by backward after its last use; keep() it to read it later");
        }
    }

    /// The memory of a view is its input's: freed when that is visited, and never when that is a leaf.
    private static boolean isView(Tensor t, Node node) {
        for (Tensor input : node.inputs()) {
            if (input.storage() == t.storage()) {
                return true;
            }
        }
        return false;
    }

    /// A gradient may lie in the memory of a value (cross entropy in place), so both counts must be down.
    private void freeIfUnused(Storage s, String why) {
        if (s.graphUses > 0 || s.gradientShares > 0) {
            return;
        }
        if (s.lateReads > 0) {
            s.freedAfterReads = why;
        } else {
            scope.release(s, why);
        }
    }

    private void haveBeenRead(Storage s) {
        s.lateReads--;
        if (s.freedAfterReads != null) {
            freeIfUnused(s, s.freedAfterReads);
        }
    }
}
