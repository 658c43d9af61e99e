package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Page-locked memory that copies pass through: only from there does the device copy while the host goes on.
///
/// Uploads fill chunks one after another. A chunk is written again only after the last copy out of it, so the host
/// waits when it is a whole ring ahead of the device, not before: a step uploads some KiB.
@SuppressWarnings("restricted")
final class Staging implements AutoCloseable {
    private static final int CHUNKS = 16;
    private static final long CHUNK = 1L << 20;
    private static final int EVENT_DISABLE_TIMING = 2;

    /// One part of the ring, and the event behind the last copy out of it.
    private record Chunk(MemorySegment memory, long event) {}

    private final Gpu gpu;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment result = arena.allocate(JAVA_LONG);
    private final Chunk[] ring = new Chunk[CHUNKS];
    private final long memory;
    private int current;
    private long used;

    Staging(Gpu gpu) {
        this.gpu = gpu;
        gpu.check(Calls.memAllocHost(result.address(), CHUNKS * CHUNK), "allocating page-locked host memory");
        memory = result.get(JAVA_LONG, 0);
        for (int i = 0; i < CHUNKS; i++) {
            gpu.check(Calls.eventCreate(result.address(), EVENT_DISABLE_TIMING), "cuEventCreate");
            MemorySegment part = MemorySegment.ofAddress(memory + i * CHUNK).reinterpret(CHUNK);
            ring[i] = new Chunk(part, result.get(JAVA_LONG, 0));
        }
    }

    void upload(long destination, MemorySegment source) {
        for (long done = 0; done < source.byteSize(); ) {
            if (used == CHUNK) {
                next();
            }
            Chunk chunk = ring[current];
            long n = Math.min(CHUNK - used, source.byteSize() - done);
            MemorySegment.copy(source, done, chunk.memory, used, n);
            gpu.check(
                    Calls.memcpyHtoD(destination + done, chunk.memory.address() + used, n, gpu.stream()),
                    "copying to the device");
            record(chunk);
            used = Math.min(CHUNK, used + (n + 63) / 64 * 64);
            done += n;
        }
    }

    void download(MemorySegment destination, long source) {
        long bytes = destination.byteSize();
        long asked = 0;
        // one chunk is filled by the device while the host empties the one before
        for (long done = 0; done < bytes; ) {
            while (asked < bytes && asked - done < 2 * CHUNK) {
                next();
                long n = Math.min(CHUNK, bytes - asked);
                Chunk chunk = ring[current];
                gpu.check(
                        Calls.memcpyDtoH(chunk.memory.address(), source + asked, n, gpu.stream()),
                        "copying from the device");
                record(chunk);
                used = CHUNK;
                asked += n;
            }
            long behind = (asked - done + CHUNK - 1) / CHUNK - 1;
            Chunk chunk = ring[Math.floorMod(current - (int) behind, CHUNKS)];
            await(chunk);
            long n = Math.min(CHUNK, bytes - done);
            MemorySegment.copy(chunk.memory, 0, destination, done, n);
            done += n;
        }
    }

    private void next() {
        current = (current + 1) % CHUNKS;
        used = 0;
        await(ring[current]);
    }

    private void record(Chunk chunk) {
        gpu.check(Calls.eventRecord(chunk.event, gpu.stream()), "cuEventRecord");
    }

    private void await(Chunk chunk) {
        gpu.awaitEvent(chunk.event, "waiting for a copy");
    }

    @Override
    public void close() {
        for (Chunk chunk : ring) {
            int _ = Calls.eventDestroy(chunk.event);
        }
        int _ = Calls.memFreeHost(memory);
        arena.close();
    }
}
