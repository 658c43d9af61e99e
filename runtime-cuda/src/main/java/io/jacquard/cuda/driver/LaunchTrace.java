package io.jacquard.cuda.driver;

import io.jacquard.tensor.Debug;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// `-Djacquard.debug=3`: a line for each launch of a kernel call, with the device's time between two events around it.
/// What the call as a whole should take is known a level above. The host waits for each launch; what is launched by a
/// graph is not seen.
final class LaunchTrace implements AutoCloseable {
    private static final int EACH_LAUNCH = 3;

    private final Stopwatch stopwatch;

    private LaunchTrace(Gpu gpu) {
        stopwatch = new Stopwatch(gpu);
    }

    /// Null when nobody asked.
    static @Nullable LaunchTrace ifAsked(Gpu gpu) {
        return Debug.level() >= EACH_LAUNCH ? new LaunchTrace(gpu) : null;
    }

    void run(Runnable launch, Kernel kernel, String grid, int threads, int sharedBytes) {
        System.err.printf(
                Locale.ROOT,
                "    %-32s %9.1f us  %s x %d, %d bytes shared%n",
                kernel.name(),
                stopwatch.micros(launch),
                grid,
                threads,
                sharedBytes);
    }

    void run(Runnable launch, LibraryCall call) {
        System.err.printf(Locale.ROOT, "    %-32s %9.1f us%n", call.name(), stopwatch.micros(launch));
    }

    @Override
    public void close() {
        stopwatch.close();
    }
}
