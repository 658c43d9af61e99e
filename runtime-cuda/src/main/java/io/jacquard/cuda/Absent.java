package io.jacquard.cuda;

import io.jacquard.cuda.driver.Launcher;

/// An operation that has no kernel yet.
final class Absent {
    private Absent() {}

    static void kernel(Launcher launcher, String operation) {
        if (launcher.multiprocessors() > 0) {
            throw new UnsupportedOperationException("cuda: " + operation + " has no kernel");
        }
    }
}
