package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Two events around launches: the device's own time between them, to half a microsecond.
public final class Stopwatch implements AutoCloseable {
    private final Gpu gpu;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment result = arena.allocate(JAVA_LONG);
    private final long start;
    private final long stop;

    public Stopwatch(Gpu gpu) {
        this.gpu = gpu;
        start = event();
        stop = event();
    }

    private long event() {
        gpu.check(Calls.eventCreate(result.address(), 0), "cuEventCreate");
        return result.get(JAVA_LONG, 0);
    }

    /// Runs `work`, waits for what it launched, and returns the microseconds from its begin to its end on the
    /// device.
    public double micros(Runnable work) {
        gpu.check(Calls.eventRecord(start, gpu.stream()), "cuEventRecord");
        work.run();
        gpu.check(Calls.eventRecord(stop, gpu.stream()), "cuEventRecord");
        gpu.awaitEvent(stop, "waiting for the device");
        gpu.check(Calls.eventElapsedTime(result.address(), start, stop), "cuEventElapsedTime");
        return 1000.0 * result.get(JAVA_FLOAT, 0);
    }

    @Override
    public void close() {
        int _ = Calls.eventDestroy(start);
        int _ = Calls.eventDestroy(stop);
        arena.close();
    }
}
