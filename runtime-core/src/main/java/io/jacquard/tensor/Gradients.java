package io.jacquard.tensor;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import org.jspecify.annotations.Nullable;

/// One run of reverse-mode differentiation: visits the graph newest tensor first, which is a reverse topological order
/// because a tensor is always younger than what it was made from. Each activation and gradient is freed as soon as
/// its last reader has run.
public final class Gradients {
    private final Scope scope = Scope.current();
    private final Map<Tensor, Tensor> pending = new IdentityHashMap<>();
    private final PriorityQueue<Tensor> order = new PriorityQueue<>((a, b) -> Long.compare(b.id(), a.id()));

    private Gradients() {}

    /// Writes a gradient: overwrites `destination` when `beta` is 0, adds to it when 1.
    @FunctionalInterface
    public interface Writer {
        /// Writes to `destination`, of the input's shape; its dtype may be F32 where the input's is BF16 or
        /// F16.
        void write(Tensor destination, float beta);
    }

    /// Where to write a gradient: into `tensor`, overwriting when `beta` is 0, adding when 1.
    public record Target(Tensor tensor, float beta) {}

    /// Lets `writer` write or accumulate the gradient of `input`; does nothing when nobody wants it.
    public void add(Tensor input, Writer writer) {
        Target t = target(input);
        if (t != null) {
            writer.write(t.tensor, t.beta);
        }
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
        if (g.storage().gradientShares > 1) { // somebody else still reads it: copy on write
            Tensor own = allocate(input);
            own.kernels().axpby(own, 1f, g, 0f);
            g.storage().gradientShares--;
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
            add(input, (dx, beta) -> dx.kernels().axpby(dx, 1f, dy, beta));
        }
    }

    /// Whether nobody but the node that is given `dy` reads it: then it may write into it, and hand it on.
    public boolean mayOverwrite(Tensor dy) {
        return dy.storage().gradientShares == 1;
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
        if (!y.needsGradient()) {
            throw new IllegalStateException("backward: " + y + " depends on nothing that wants a gradient");
        }
        Gradients g = new Gradients();
        Tensor seed = dy;
        if (seed == null) {
            seed = g.allocate(y);
            seed.kernels().fill(seed, 1f);
        }
        seed.storage().gradientShares++; // the caller's: never written, never freed here
        g.pass(y, seed);
        Map<Tensor, Tensor> results = new IdentityHashMap<>();
        while (!g.order.isEmpty()) {
            g.visit(g.order.remove(), y, wanted, results);
        }
        seed.storage().gradientShares--;
        if (dy == null) {
            g.freeIfUnused(seed.storage(), "was the gradient of the result of backward"); // unless it is a wanted one
        }
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
            node.backward(dt, this);
            t.storage().graphUses--;
            node.saved().forEach(s -> freeIfUnused(s.storage(), "was saved for backward and freed by it"));
        }
        for (Tensor w : wanted) {
            if (w == t) {
                results.put(t, dt);
                return;
            }
        }
        dt.storage().gradientShares--;
        freeIfUnused(dt.storage(), "was a gradient, freed after its last use");
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
        if (s.graphUses == 0 && s.gradientShares == 0) {
            scope.release(s, why);
        }
    }
}
