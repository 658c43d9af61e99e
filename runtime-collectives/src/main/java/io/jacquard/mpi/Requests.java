package io.jacquard.mpi;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.line.Activity;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Requests of one thread that are under way.
///
/// **Thread**: one.
final class Requests {
    private final Mpi mpi;
    private final MemorySegment flag = Arena.global().allocate(JAVA_INT);
    private final HostBuffer slots = new HostBuffer();
    private int started;

    Requests(Mpi mpi) {
        this.mpi = mpi;
    }

    /// Where the next request goes.
    long next() {
        MemorySegment all = slots.atLeast(8L * (started + 1));
        all.setAtIndex(JAVA_LONG, started, 0);
        return all.address() + 8L * started++;
    }

    /// Returns when all are done.
    void await(Activity activity) {
        for (int i = 0; i < started; i++) {
            long request = slots.atLeast(8L * started).address() + 8L * i;
            for (long tries = 0; !mpi.test(request, flag); tries++) {
                activity.pause(tries);
            }
            activity.moved();
        }
        started = 0;
    }
}
