package io.jacquard.group;

import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/// How long ranks wait for each other, and where it is written why they gave up.
///
/// @param timeout after how long without any progress a rank looks where the others are; it gives up if one does not
///     answer, if all wait, or if one computes in a circle ([Pulse]) for one and a half times as long
/// @param patience how long it waits for ranks that do something else: they may write a checkpoint
/// @param directory where each rank records ([FlightRecorder]), and the report of a failure goes; null for neither
public record Watch(
        Duration timeout, Duration patience, @Nullable Path directory) {
    /// All ranks have ended within 30 seconds if one is killed, is stopped, or computes in a circle.
    public static final Watch DEFAULT = new Watch(Duration.ofSeconds(12), Duration.ofMinutes(8), null);

    public Watch {
        if (!timeout.isPositive() || patience.compareTo(timeout) < 0) {
            throw new IllegalArgumentException("watch: a timeout of " + timeout.toMillis() + " ms and a patience of "
                    + patience.toMillis() + " ms; expected a positive timeout and a patience that is not shorter");
        }
    }

    /// With this timeout, and a patience of forty times as much.
    public static Watch of(Duration timeout) {
        return new Watch(timeout, timeout.multipliedBy(40), null);
    }

    /// As this, in a directory.
    public Watch in(Path where) {
        return new Watch(timeout, patience, where);
    }

    /// How long a rank may compute in a circle.
    public Duration circling() {
        return timeout.multipliedBy(3).dividedBy(2);
    }
}
