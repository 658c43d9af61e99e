package io.jacquard.tensor;

import io.jacquard.tensor.spi.Backend;
import io.jacquard.tensor.spi.BackendProvider;
import io.jacquard.tensor.spi.Graph;
import io.jacquard.tensor.spi.Kernels;
import java.util.LinkedHashSet;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// One device opened by one thread (one rank), with the scope `run` that lives as long as the session.
///
/// **Thread**: all work of a session happens on the thread that opened it.
public final class Session implements AutoCloseable {
    private final Backend backend;
    private final Pool pool;
    private final Set<Scope> scopes = new LinkedHashSet<>();
    private final Scope root;
    private final @Nullable KernelTrace trace;
    private long tensors;

    private Session(Backend backend) {
        this.backend = backend;
        this.pool = new Pool(backend);
        this.trace = KernelTrace.ifAsked(backend);
        this.root = Scope.root(this, pool);
    }

    /// Opens `cpu`, `cuda` or `cuda:1` for the calling thread.
    ///
    /// @throws DeviceException if the device cannot be had, with what is missing; never falls back to another
    public static Session open(String device) {
        Device d = Device.parse(device);
        Set<String> kinds = new TreeSet<>();
        for (BackendProvider p : ServiceLoader.load(BackendProvider.class, Session.class.getClassLoader())) {
            kinds.add(p.kind());
            if (p.kind().equals(d.kind())) {
                return new Session(p.open(d));
            }
        }
        throw new DeviceException("device: no backend for '" + device + "'; this installation has " + kinds
                + (d.kind().equals("cuda")
                        ? "; add jacquard-cuda to the class path, or JACQUARD_CUDA=1 for ./jacquard"
                        : ""));
    }

    /// How many devices of a kind this process sees; 0 if this installation knows no such kind.
    ///
    /// @throws DeviceException if none can be had, with what is missing
    public static int devices(String kind) {
        for (BackendProvider p : ServiceLoader.load(BackendProvider.class, Session.class.getClassLoader())) {
            if (p.kind().equals(kind)) {
                return p.devices();
            }
        }
        return 0;
    }

    /// A session over a backend made by hand: tests and tools.
    public static Session over(Backend backend) {
        return new Session(backend);
    }

    /// The session of the current scope.
    ///
    /// @throws IllegalStateException if no session is open on this thread
    public static Session current() {
        return Scope.current().session();
    }

    /// The device that was opened.
    public Device device() {
        return backend.device();
    }

    /// The backend: for tensors, tools and tests.
    public Backend backend() {
        return backend;
    }

    Kernels kernels() {
        return trace == null ? backend.kernels() : trace.kernels();
    }

    /// Whether this JVM was asked to look at each launch ([Debug]), which a graph would hide: then run eagerly.
    public boolean isDebugging() {
        return trace != null || Debug.sync();
    }

    /// Prints the time of each kernel since the last summary, if [Debug] asks for it. Closing the session does so,
    /// too.
    public void summarize(String title) {
        if (trace != null) {
            trace.summarize(title);
        }
    }

    /// Records the launches of `work` without running them; [Graph#replay] runs them at the addresses of the
    /// recording. `work` itself runs once, on the host: numbers and branches of Java are frozen, tensors are not.
    /// Copies to and from the host are refused inside.
    ///
    /// **Memory**: tensors that `work` allocates must live as long as the graph: capture inside an arena scope that
    /// stays open. A replay after the scope of the capture was closed throws an `IllegalStateException`.
    public Graph capture(Runnable work) {
        Scope home = Scope.current();
        if (trace == null) {
            return new ScopedGraph(backend.capture(work), home);
        }
        trace.capturing(true);
        try {
            return new ScopedGraph(backend.capture(work), home);
        } finally {
            trace.capturing(false);
        }
    }

    /// Waits until the device has done everything asked so far.
    public void synchronize() {
        backend.synchronize();
    }

    /// Bytes of tensors now alive, each rounded up to 256; an arena counts as a whole.
    public long usedBytes() {
        return pool.used();
    }

    /// The most bytes ever alive at once, counted as in [#usedBytes].
    public long peakBytes() {
        return pool.peak();
    }

    /// How many tensors this session has made: to others, a sign that its thread gets on.
    public long tensorsMade() {
        return tensors;
    }

    long nextId() {
        return tensors++;
    }

    void opened(Scope s) {
        scopes.add(s);
    }

    void closed(Scope s) {
        scopes.remove(s);
    }

    String outOfMemory(long bytes, Object wanted) {
        long all = backend.memoryBytes();
        return "out of memory on " + device() + ": wanted " + MemoryReport.size(bytes) + " for " + wanted + ", "
                + MemoryReport.size(backend.freeBytes() + pool.reserved() - pool.used()) + " free of "
                + MemoryReport.size(all)
                + "; held by scopes: " + holders(pool) + "; try recompute or a smaller micro-batch";
    }

    /// The open scopes that allocate in `inside`, each with the largest it owns.
    String holders(Pool inside) {
        return scopes.stream()
                .filter(s -> s.holdsIn(inside))
                .map(Scope::summary)
                .collect(Collectors.joining(", "));
    }

    /// Frees everything and closes the device.
    ///
    /// @throws IllegalStateException naming the scopes that were never closed
    @Override
    public void close() {
        summarize("until the close of " + device());
        String leaked = Scope.describe(scopes.stream().filter(s -> s != root).toList());
        root.leaveInner();
        root.close();
        pool.close();
        backend.close();
        if (!leaked.isEmpty()) {
            throw new IllegalStateException("leak: never closed: " + leaked);
        }
    }
}
