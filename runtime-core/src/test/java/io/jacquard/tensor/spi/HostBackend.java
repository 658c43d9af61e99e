package io.jacquard.tensor.spi;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Device;
import io.jacquard.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;

/// A backend for tests of what lies above backends: a few slow kernels on host memory, a log of calls, a limit on
/// memory, and kernels that a test replaces by wrong ones.
public final class HostBackend implements Backend {
    /// A tensor as a kernel sees it: addresses are resolved at the launch, so that a recorded one can be replayed.
    public record Memory(MemorySegment segment, DType dtype, int size) {
        public double get(int i) {
            return Numbers.read(segment, dtype, i);
        }

        public void set(int i, double value) {
            Numbers.write(segment, dtype, i, value);
        }
    }

    /// A kernel, given the arguments of its [Kernels] method, with [Memory] for each tensor.
    public interface Kernel extends Consumer<Object[]> {}

    private final long limit;
    private final TreeMap<Long, MemorySegment> blocks = new TreeMap<>();
    private final Map<Long, Arena> arenas = new HashMap<>();
    private final Map<String, Kernel> implementations = new HashMap<>();
    private final List<String> log = new ArrayList<>();
    private final Kernels kernels;
    private List<Runnable> recording;
    private long reserved;

    public HostBackend() {
        this(Long.MAX_VALUE);
    }

    /// Refuses to reserve more than `limit` bytes in all.
    public HostBackend(long limit) {
        this.limit = limit;
        this.kernels = (Kernels) Proxy.newProxyInstance(
                Kernels.class.getClassLoader(),
                new Class<?>[] {Kernels.class},
                (_, method, args) -> call(method, args));
        implement("fill", a -> each(a[0], (_, _) -> (float) a[1]));
        implement("cast", a -> each(a[0], (i, _) -> at(a[1], i)));
        implement("axpby", a -> each(a[0], (i, old) -> (float) a[1] * at(a[2], i) + ((float) a[3] == 0 ? 0 : old)));
        implement("add", a -> each(a[0], (i, _) -> at(a[1], i) + at(a[2], i)));
        implement("mul", a -> each(a[0], (i, old) -> at(a[1], i) * at(a[2], i) + ((float) a[3] == 0 ? 0 : old)));
        implement("scale", a -> each(a[0], (i, _) -> at(a[1], i) * at(a[2], 0)));
    }

    /// Gives (or replaces) the kernel of a method.
    public void implement(String method, Kernel kernel) {
        implementations.put(method, kernel);
    }

    /// Names of the kernels that ran since the last call of this.
    public List<String> takeLog() {
        List<String> taken = List.copyOf(log);
        log.clear();
        return taken;
    }

    private interface Element {
        double at(int i, double old);
    }

    private static void each(Object out, Element element) {
        Memory memory = (Memory) out;
        for (int i = 0; i < memory.size; i++) {
            memory.set(i, element.at(i, memory.get(i)));
        }
    }

    private static double at(Object x, int i) {
        return ((Memory) x).get(i);
    }

    private MemorySegment memory(long address, long bytes) {
        Map.Entry<Long, MemorySegment> block = blocks.floorEntry(address);
        return block.getValue().asSlice(address - block.getKey(), bytes);
    }

    private Object call(Method method, Object[] args) {
        Kernel kernel = implementations.get(method.getName());
        if (kernel == null) {
            throw new UnsupportedOperationException("the test backend has no kernel " + method.getName());
        }
        Object[] own = Arrays.stream(args)
                .map(a -> a instanceof Tensor t
                        ? new Memory(memory(t.address(), t.bytes()), t.dtype(), (int) t.size())
                        : a)
                .toArray();
        Runnable launch = () -> {
            log.add(method.getName());
            kernel.accept(own);
        };
        if (recording == null) {
            launch.run();
        } else {
            recording.add(launch);
        }
        return null;
    }

    @Override
    public Device device() {
        return new Device("host", 0);
    }

    @Override
    public Kernels kernels() {
        return kernels;
    }

    @Override
    public long memoryBytes() {
        return limit;
    }

    @Override
    public long freeBytes() {
        return limit - reserved;
    }

    @Override
    @SuppressWarnings("MustBeClosedChecker") // unreserve and close close it
    public long reserve(long bytes) {
        if (bytes > limit - reserved) {
            return 0;
        }
        Arena arena = Arena.ofShared();
        MemorySegment block = arena.allocate(bytes, 256);
        blocks.put(block.address(), block);
        arenas.put(block.address(), arena);
        reserved += bytes;
        return block.address();
    }

    @Override
    public void unreserve(long address) {
        reserved -= blocks.remove(address).byteSize();
        arenas.remove(address).close();
    }

    public long reservedBytes() {
        return reserved;
    }

    @Override
    public void upload(long destination, MemorySegment source) {
        refuseInCapture();
        memory(destination, source.byteSize()).copyFrom(source);
    }

    @Override
    public void download(MemorySegment destination, long source) {
        refuseInCapture();
        destination.copyFrom(memory(source, destination.byteSize()));
    }

    private void refuseInCapture() {
        if (recording != null) {
            throw new IllegalStateException("capture: a copy between host and device cannot be recorded");
        }
    }

    @Override
    public void synchronize() {}

    @Override
    public Graph capture(Runnable work) {
        List<Runnable> launches = new ArrayList<>();
        recording = launches;
        try {
            work.run();
        } finally {
            recording = null;
        }
        return new Graph() {
            @Override
            public void replay() {
                launches.forEach(Runnable::run);
            }

            @Override
            public void close() {}
        };
    }

    @Override
    public void close() {}
}
