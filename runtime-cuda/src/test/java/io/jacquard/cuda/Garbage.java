package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.IntConsumer;

/// What the host allocates for what it does again and again.
public final class Garbage {
    private static final int CALLS = 2000;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private Garbage() {}

    /// Fails if `call`, which gets the number of the call, allocates anything. `round` runs what it is given, many
    /// calls: recorded where the device would take long, since what is measured is the host.
    ///
    /// The least of several rounds counts: until the compiler has done away with what escapes nowhere, which takes
    /// longer on a busy machine, a call may allocate.
    public static void none(Consumer<Runnable> round, IntConsumer call) {
        long[] bytes = {Long.MAX_VALUE};
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (bytes[0] >= CALLS && System.nanoTime() < deadline) {
            round.accept(() -> {
                long before = THREADS.getCurrentThreadAllocatedBytes();
                for (int i = 0; i < CALLS; i++) {
                    call.accept(i);
                }
                bytes[0] = Math.min(bytes[0], THREADS.getCurrentThreadAllocatedBytes() - before);
            });
        }
        assertTrue(bytes[0] < CALLS, bytes[0] + " bytes in " + CALLS + " calls");
    }
}
