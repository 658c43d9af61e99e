package io.jacquard.group;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/// Which processes see each other by number: those of one machine that share a namespace.
public final class Processes {
    /// The same text for all processes that see each other; empty where that cannot be told.
    public static final String SPACE = space();

    private Processes() {}

    private static String space() {
        try {
            return Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip() + " "
                    + Files.readSymbolicLink(Path.of("/proc/self/ns/pid"));
        } catch (IOException | UnsupportedOperationException e) {
            return "";
        }
    }

    /// Whether a process that can be seen from here runs.
    public static boolean runs(long process) {
        return ProcessHandle.of(process).map(ProcessHandle::isAlive).orElse(false);
    }

    /// False if the process has ended. True if it runs, or cannot be seen from here.
    static boolean mayRun(String space, long process) {
        return SPACE.isEmpty() || !space.equals(SPACE) || runs(process);
    }
}
