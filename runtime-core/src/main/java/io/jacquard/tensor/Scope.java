package io.jacquard.tensor;

import java.util.LinkedHashSet;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// A lifetime of device memory: tensors are allocated in the current scope and die when it closes.
///
/// Entering is last-in-first-out on one thread; the lifetime is not: [#create] and [#enter] let a pipeline leave a
/// micro-batch's scope and come back to it.
///
/// **Thread**: a scope belongs to the thread of its session.
public final class Scope implements AutoCloseable {
    private static final ThreadLocal<@Nullable Scope> CURRENT = new ThreadLocal<>();

    private final String name;
    private final String openedAt;
    private final @Nullable Scope parent;
    private final Session session;
    private final boolean gradients;
    private final Pool pool;
    private final @Nullable Storage arena;
    private final Set<Storage> owned = new LinkedHashSet<>();
    private @Nullable Entry entry;
    private boolean closed;

    private Scope(
            String name,
            @Nullable Scope parent,
            Session session,
            boolean gradients,
            Pool pool,
            @Nullable Storage arena) {
        this.name = name;
        this.parent = parent;
        this.session = session;
        this.gradients = gradients;
        this.pool = pool;
        this.arena = arena;
        this.openedAt = StackWalker.getInstance()
                .walk(frames -> frames.filter(f -> !f.getClassName().startsWith("io.jacquard.tensor.")
                                || f.getClassName().endsWith("Test"))
                        .findFirst()
                        .map(f -> f.getFileName() + ":" + f.getLineNumber())
                        .orElse("unknown"));
        session.opened(this);
    }

    static Scope root(Session session, Pool pool) {
        return new Scope("run", CURRENT.get(), session, true, pool, null).entered();
    }

    /// Opens a scope below the current one and enters it, for try-with-resources. `name` appears in messages.
    ///
    /// @throws IllegalStateException if no session is open on this thread
    public static Scope open(String name) {
        return create(name).entered();
    }

    /// As [#open], and operations inside record no way back; nor do they in the scopes opened inside.
    public static Scope openWithoutGrad(String name) {
        Scope p = current();
        return new Scope(name, p, p.session, false, p.pool, null).entered();
    }

    /// As [#open], with one block of `extentBytes` taken now: what is allocated inside lies in it, at the same
    /// addresses each time. [#extentBytes] of a warm-up run says how large the block must be.
    ///
    /// @throws DeviceOutOfMemoryException if there is no such block; what does not fit inside later is one too
    public static Scope openArena(String name, long extentBytes) {
        return createArena(name, extentBytes).entered();
    }

    /// As [#openArena], entered by [#enter], as [#create].
    public static Scope createArena(String name, long extentBytes) {
        Scope p = current();
        p.pool.trim(); // an arena is most of a device: what the steps before it left free would be in its way
        Storage block = p.allocate(extentBytes, "arena of scope '" + name + "'");
        p.owned.remove(block);
        Pool inside = new Pool(p.session.backend(), block.address(), extentBytes);
        return new Scope(name, p, p.session, p.gradients, inside, block);
    }

    /// A scope that is entered by [#enter], as often as wanted, until it is closed.
    public static Scope create(String name) {
        Scope p = current();
        return new Scope(name, p, p.session, p.gradients, p.pool, null);
    }

    private Scope entered() {
        entry = enter();
        return this;
    }

    /// Makes this the current scope until the entry is closed.
    ///
    /// @throws IllegalStateException if the scope is closed
    public Entry enter() {
        if (closed) {
            throw new IllegalStateException("scope '" + name + "' is closed");
        }
        Entry e = new Entry(this, CURRENT.get());
        CURRENT.set(this);
        return e;
    }

    /// The scope that new tensors of this thread belong to.
    ///
    /// @throws IllegalStateException if no session is open on this thread
    public static Scope current() {
        Scope s = CURRENT.get();
        if (s == null) {
            throw new IllegalStateException("no scope is open on thread '"
                    + Thread.currentThread().getName() + "'; open a Session there first");
        }
        return s;
    }

    /// Hands `tensor` to the parent scope: it outlives this one. A tensor of an outer scope does so anyway.
    ///
    /// **Memory**: the whole allocation moves, with every view of it; backward does not free it any more.
    ///
    /// @return `tensor`
    /// @throws IllegalStateException in an arena scope, whose memory ends with it, and for tensors that no scope
    /// here owns
    public Tensor keep(Tensor tensor) {
        if (parent == null || arena != null) {
            throw new IllegalStateException(
                    "scope '" + name + "' cannot hand " + tensor + " to a parent: its memory ends with it");
        }
        for (Scope s = parent; s != null; s = s.parent) {
            if (s.owned.contains(tensor.storage())) {
                return tensor;
            }
        }
        if (!owned.remove(tensor.storage())) {
            throw new IllegalStateException("scope '" + name + "' does not own " + tensor);
        }
        parent.owned.add(tensor.storage());
        return tensor;
    }

    /// Frees the memory of `tensor`, and of all its views, now rather than when the scope closes; does nothing
    /// where another scope owns it. The graph stays as it is, and gradients still flow through: it is for values
    /// that no backward reads. Reading it is an error that says `why`.
    public void free(Tensor tensor, String why) {
        release(tensor.storage(), why);
    }

    /// The highest offset in bytes that was ever used of this scope's arena; 0 in a scope outside an arena.
    public long extentBytes() {
        return pool.extent();
    }

    /// Bytes of the tensors this scope owns now; of an arena scope, those of its arena.
    public long ownedBytes() {
        return arena != null
                ? arena.bytes
                : owned.stream().mapToLong(s -> Pool.rounded(s.bytes)).sum();
    }

    /// The name in messages.
    public String name() {
        return name;
    }

    /// Frees everything the scope owns; the second time does nothing.
    ///
    /// @throws IllegalStateException if a scope opened inside is still current
    @Override
    public void close() {
        if (closed) {
            return;
        }
        if (entry != null) {
            entry.close();
        }
        closed = true;
        String by = "died with scope '" + name + "' (opened at " + openedAt + ")";
        owned.forEach(s -> s.free(by));
        owned.clear();
        if (arena != null) {
            arena.free(by);
        }
        session.closed(this);
    }

    /// Leaves the scopes of this session that are still entered inside this one, so that closing goes on.
    void leaveInner() {
        Scope now = CURRENT.get();
        if (now != null && now.session == session) {
            CURRENT.set(this);
        }
    }

    Session session() {
        return session;
    }

    void checkOpen(String complaint) {
        if (closed) {
            throw new IllegalStateException(complaint + "scope '" + name + "' (opened at " + openedAt
                    + "), which is closed; keep that scope open as long as the graph");
        }
    }

    boolean recordsGradients() {
        return gradients;
    }

    Storage allocate(long bytes, Object wanted) {
        long address = pool.take(bytes);
        if (address == 0) {
            throw new DeviceOutOfMemoryException(outOfMemory(bytes, wanted));
        }
        Storage s = new Storage(session, pool, address, bytes, wanted);
        owned.add(s);
        return s;
    }

    /// Of a tensor without memory.
    Storage nothing(Object content) {
        Storage s = new Storage(session, pool, 0, 0, content);
        s.freedBy("exists only in low precision, as the linear layer it was made for reads it");
        return s;
    }

    private String outOfMemory(long bytes, Object wanted) {
        for (Scope s = this; s != null && s.pool == pool; s = s.parent) {
            if (s.arena != null) {
                return "out of memory in the arena of scope '" + s.name + "': wanted " + MemoryReport.size(bytes)
                        + " for " + wanted + ", " + MemoryReport.size(pool.used()) + " of "
                        + MemoryReport.size(s.arena.bytes) + " in use; held by scopes: " + session.holders(pool)
                        + "; measure extentBytes() of a warm-up run again";
            }
        }
        return session.outOfMemory(bytes, wanted);
    }

    /// Frees the storage now if this scope owns it.
    void release(Storage s, String by) {
        if (owned.remove(s)) {
            s.free(by);
        }
    }

    /// Whether the tensors, or the arena, of this scope lie in `inside`.
    boolean holdsIn(Pool inside) {
        return pool == inside || arena != null && parent != null && parent.pool == inside;
    }

    String summary() {
        return name + " " + MemoryReport.of(owned, ownedBytes());
    }

    @Override
    public String toString() {
        return "scope '" + name + "' (opened at " + openedAt + ", " + MemoryReport.size(ownedBytes()) + ")";
    }

    static String describe(Iterable<Scope> scopes) {
        return java.util.stream.StreamSupport.stream(scopes.spliterator(), false)
                .map(Scope::toString)
                .collect(Collectors.joining("; "));
    }

    /// One stay in a scope; closing it returns to the scope before.
    public static final class Entry implements AutoCloseable {
        private final Scope scope;
        private final @Nullable Scope previous;
        private boolean left;

        private Entry(Scope scope, @Nullable Scope previous) {
            this.scope = scope;
            this.previous = previous;
        }

        /// Returns to the scope before; the scope itself stays open.
        ///
        /// @throws IllegalStateException if a scope entered inside is still current
        @Override
        public void close() {
            if (left) {
                return;
            }
            Scope now = CURRENT.get();
            if (now != scope) {
                throw new IllegalStateException(
                        "scope '" + scope.name + "' left while '" + (now == null ? "none" : now.name)
                                + "' is current; close scopes in the reverse order of opening");
            }
            left = true;
            if (previous == null) {
                CURRENT.remove();
            } else {
                CURRENT.set(previous);
            }
        }
    }
}
