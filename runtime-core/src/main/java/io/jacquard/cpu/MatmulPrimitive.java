package io.jacquard.cpu;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/// One oneDNN matrix product of a fixed shape, layout and type, with the memory objects of one lane. The compiled code
/// behind it is shared: creating it costs 0.5 ms, so the shapes are cached for the process.
final class MatmulPrimitive {
    /// Leading dimensions are in elements of the row-major matrices as they are stored.
    record Key(
            int m,
            int n,
            int k,
            int type,
            boolean ta,
            long lda,
            boolean tb,
            long ldb,
            int outType,
            long ldc,
            int biasType,
            boolean accumulate) {}

    private record Shared(long primitive, long a, long b, long c, long bias, long scratch, long scratchBytes) {}

    private static final ConcurrentHashMap<Key, Optional<Shared>> CACHE = new ConcurrentHashMap<>();
    private static final int CPU = 1;
    private static final int IN_ORDER = 1;
    private static final int SCRATCHPAD_USER = 1;
    private static final int QUERY_SCRATCHPAD = 136;
    private static final int UNIMPLEMENTED = 3;
    private static final long ENGINE = engine();
    private static final int EXEC_ARG_BYTES = 16;

    private final Shared shared;
    private final long stream;
    private final long memoryA;
    private final long memoryB;
    private final long memoryC;
    private final long memoryBias;
    private final long memoryScratch;
    private final MemorySegment arguments;

    private MatmulPrimitive(Shared shared) throws Throwable {
        this.shared = shared;
        this.arguments = Arena.ofAuto().allocate(5 * EXEC_ARG_BYTES, 16);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment slot = arena.allocate(JAVA_LONG);
            OneDnn.check((int) OneDnn.STREAM_CREATE.invokeExact(slot, ENGINE, IN_ORDER), "dnnl_stream_create");
            stream = OneDnn.created(slot);
            memoryA = memory(slot, shared.a);
            memoryB = memory(slot, shared.b);
            memoryC = memory(slot, shared.c);
            memoryBias = shared.bias == 0 ? 0 : memory(slot, shared.bias);
            memoryScratch = memory(slot, shared.scratch);
        }
        argument(0, OneDnn.ARG_SRC, memoryA);
        argument(1, OneDnn.ARG_WEIGHTS, memoryB);
        argument(2, OneDnn.ARG_DST, memoryC);
        argument(3, OneDnn.ARG_SCRATCHPAD, memoryScratch);
        argument(4, OneDnn.ARG_BIAS, memoryBias);
    }

    /// The primitive, or null when oneDNN has none for this type on this processor.
    static @Nullable MatmulPrimitive of(Key key, Lane lane) {
        MatmulPrimitive known = lane.primitives.get(key);
        if (known != null) {
            return known;
        }
        Shared shared = CACHE.computeIfAbsent(key, MatmulPrimitive::create).orElse(null);
        if (shared == null) {
            return null;
        }
        try {
            MatmulPrimitive made = new MatmulPrimitive(shared);
            lane.primitives.put(key, made);
            return made;
        } catch (Throwable t) {
            throw rethrown(t);
        }
    }

    void run(long a, long b, long c, long bias, Lane lane) {
        long mark = lane.mark();
        try {
            long scratch = shared.scratchBytes == 0 ? 0 : lane.bytes(shared.scratchBytes);
            set(memoryScratch, scratch);
            set(memoryA, a);
            set(memoryB, b);
            set(memoryC, c);
            if (memoryBias != 0) {
                set(memoryBias, bias);
            }
            int count = memoryBias == 0 ? 4 : 5;
            OneDnn.check(
                    (int) OneDnn.EXECUTE.invokeExact(shared.primitive, stream, count, arguments),
                    "dnnl_primitive_execute");
        } catch (Throwable t) {
            throw rethrown(t);
        } finally {
            lane.release(mark);
        }
    }

    private static void set(long memory, long address) throws Throwable {
        OneDnn.check((int) OneDnn.SET_HANDLE.invokeExact(memory, address), "dnnl_memory_set_data_handle");
    }

    private void argument(int index, int kind, long memory) {
        arguments.set(JAVA_INT, (long) index * EXEC_ARG_BYTES, kind);
        arguments.set(JAVA_LONG, (long) index * EXEC_ARG_BYTES + 8, memory);
    }

    private static long memory(MemorySegment slot, long descriptor) throws Throwable {
        OneDnn.check((int) OneDnn.MEMORY_CREATE.invokeExact(slot, descriptor, ENGINE, 0L), "dnnl_memory_create");
        return OneDnn.created(slot);
    }

    private static long engine() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment slot = arena.allocate(JAVA_LONG);
            OneDnn.check((int) OneDnn.ENGINE_CREATE.invokeExact(slot, CPU, 0L), "dnnl_engine_create");
            return OneDnn.created(slot);
        } catch (Throwable t) {
            throw rethrown(t);
        }
    }

    private static Optional<Shared> create(Key key) {
        OneDnn.serialThread(); // the thread count is baked into the primitive
        try (Arena arena = Arena.ofConfined()) {
            long a = descriptor(arena, key.m, key.k, key.type, key.ta, key.lda);
            long b = descriptor(arena, key.k, key.n, key.type, key.tb, key.ldb);
            long c = descriptor(arena, key.m, key.n, key.outType, false, key.ldc);
            long bias = key.biasType == 0 ? 0 : descriptor(arena, 1, key.n, key.biasType, false, key.n);
            long attributes = attributes(arena, key);
            MemorySegment slot = arena.allocate(JAVA_LONG);
            int status = (int) OneDnn.MATMUL_CREATE.invokeExact(slot, ENGINE, a, b, bias, c, attributes);
            int _ = (int) OneDnn.DESTROY_ATTR.invokeExact(attributes);
            if (status == UNIMPLEMENTED) {
                return Optional.empty();
            }
            OneDnn.check(status, "dnnl_matmul_primitive_desc_create " + key);
            long description = OneDnn.created(slot);
            OneDnn.check((int) OneDnn.PRIMITIVE_CREATE.invokeExact(slot, description), "dnnl_primitive_create " + key);
            long primitive = OneDnn.created(slot);
            long queried = (long) OneDnn.QUERY_DESC.invokeExact(description, QUERY_SCRATCHPAD, 0);
            OneDnn.check((int) OneDnn.DESC_CLONE.invokeExact(slot, queried), "dnnl_memory_desc_clone");
            long scratchBytes = (long) OneDnn.DESC_SIZE.invokeExact(queried);
            int _ = (int) OneDnn.DESTROY_PRIMITIVE_DESC.invokeExact(description);
            return Optional.of(new Shared(primitive, a, b, c, bias, OneDnn.created(slot), scratchBytes));
        } catch (Throwable t) {
            throw rethrown(t);
        }
    }

    /// The scratchpad is ours: oneDNN's own belongs to the thread that created the primitive, and another thread
    /// that runs it at the same time gets wrong results.
    private static long attributes(Arena arena, Key key) throws Throwable {
        MemorySegment slot = arena.allocate(JAVA_LONG);
        OneDnn.check((int) OneDnn.ATTR_CREATE.invokeExact(slot), "dnnl_primitive_attr_create");
        long attributes = OneDnn.created(slot);
        OneDnn.check(
                (int) OneDnn.ATTR_SET_SCRATCHPAD.invokeExact(attributes, SCRATCHPAD_USER),
                "dnnl_primitive_attr_set_scratchpad_mode");
        if (key.accumulate) {
            OneDnn.check((int) OneDnn.POST_OPS_CREATE.invokeExact(slot), "dnnl_post_ops_create");
            long postOps = OneDnn.created(slot);
            OneDnn.check((int) OneDnn.POST_OPS_SUM.invokeExact(postOps, 1f, 0, 0), "dnnl_post_ops_append_sum");
            OneDnn.check(
                    (int) OneDnn.ATTR_SET_POST_OPS.invokeExact(attributes, postOps),
                    "dnnl_primitive_attr_set_post_ops");
            int _ = (int) OneDnn.DESTROY_POST_OPS.invokeExact(postOps);
        }
        return attributes;
    }

    /// A `[rows, columns]` matrix; `transposed` when it is stored as `[columns, rows]`.
    private static long descriptor(Arena arena, long rows, long columns, int type, boolean transposed, long leading)
            throws Throwable {
        MemorySegment dims = arena.allocateFrom(JAVA_LONG, rows, columns, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        MemorySegment strides = arena.allocateFrom(
                JAVA_LONG, transposed ? 1 : leading, transposed ? leading : 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        MemorySegment slot = arena.allocate(JAVA_LONG);
        OneDnn.check(
                (int) OneDnn.DESC_CREATE.invokeExact(slot, 2, dims, type, strides),
                "dnnl_memory_desc_create_with_strides");
        return OneDnn.created(slot);
    }

    private static RuntimeException rethrown(Throwable t) {
        if (t instanceof RuntimeException e) {
            return e;
        }
        if (t instanceof Error e) {
            throw e;
        }
        return new IllegalStateException(t);
    }
}
