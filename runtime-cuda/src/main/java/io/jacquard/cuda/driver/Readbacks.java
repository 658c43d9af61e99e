package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.tensor.spi.Readback;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/// Copies to the host that nobody waits for yet. Each has page-locked memory and an event of its own, which are used
/// again when it was waited for: a trainer that reads losses one step late has a handful of them, made once.
@SuppressWarnings("restricted")
final class Readbacks implements AutoCloseable {
    private static final long LEAST = 256;
    private static final int EVENT_DISABLE_TIMING = 2;

    /// Memory that the device writes to, and the event behind the copy into it.
    private record Slot(MemorySegment memory, long event) {}

    private final Gpu gpu;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment result = arena.allocate(JAVA_LONG);
    private final List<Slot> all = new ArrayList<>();
    private final List<Slot> free = new ArrayList<>();

    Readbacks(Gpu gpu) {
        this.gpu = gpu;
    }

    Readback start(MemorySegment destination, long source) {
        long bytes = destination.byteSize();
        Slot slot = take(bytes);
        gpu.check(Calls.memcpyDtoH(slot.memory.address(), source, bytes, gpu.stream()), "copying from the device");
        gpu.check(Calls.eventRecord(slot.event, gpu.stream()), "cuEventRecord");
        return new Copy(slot, destination);
    }

    private Slot take(long bytes) {
        for (int i = free.size() - 1; i >= 0; i--) {
            if (free.get(i).memory.byteSize() >= bytes) {
                return free.remove(i);
            }
        }
        long size = Math.max(LEAST, Long.highestOneBit(bytes - 1) << 1);
        gpu.check(Calls.memAllocHost(result.address(), size), "allocating page-locked host memory");
        MemorySegment memory = MemorySegment.ofAddress(result.get(JAVA_LONG, 0)).reinterpret(size);
        gpu.check(Calls.eventCreate(result.address(), EVENT_DISABLE_TIMING), "cuEventCreate");
        Slot slot = new Slot(memory, result.get(JAVA_LONG, 0));
        all.add(slot);
        return slot;
    }

    private final class Copy implements Readback {
        private final Slot slot;
        private final MemorySegment destination;
        private boolean read;

        Copy(Slot slot, MemorySegment destination) {
            this.slot = slot;
            this.destination = destination;
        }

        @Override
        public boolean isDone() {
            return read || Calls.eventQuery(slot.event) != Gpu.NOT_READY;
        }

        @Override
        public void await() {
            if (read) {
                return;
            }
            gpu.awaitEvent(slot.event, "waiting for a copy");
            MemorySegment.copy(slot.memory, 0, destination, 0, destination.byteSize());
            read = true;
            free.add(slot);
        }
    }

    @Override
    public void close() {
        for (Slot slot : all) {
            int _ = Calls.eventDestroy(slot.event);
            int _ = Calls.memFreeHost(slot.memory.address());
        }
        arena.close();
    }
}
