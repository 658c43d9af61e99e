package io.jacquard.mpi;

import org.jspecify.annotations.Nullable;

/// Exceptions that the JVM finds by a signal, which a communication library may have taken for itself.
final class JvmSignals {
    private static final int TIMES = 20_000;

    private record Box(int value) {}

    private JvmSignals() {}

    static void check() {
        int caught = 0;
        for (int i = 0; i < TIMES; i++) {
            caught += nullPointer(i % 2 == 0 ? null : new Box(i)) + division(i % 2);
        }
        try {
            deep(0);
        } catch (StackOverflowError e) {
            caught++;
        }
        if (caught != TIMES + 1) {
            throw new AssertionError(caught + " of " + (TIMES + 1) + " exceptions came");
        }
    }

    private static int nullPointer(@Nullable Box box) {
        try {
            return box.value() < 0 ? 1 : 0;
        } catch (NullPointerException e) {
            return 1;
        }
    }

    private static int division(int by) {
        try {
            return 1 / by > 1 ? 1 : 0;
        } catch (ArithmeticException e) {
            return 1;
        }
    }

    @SuppressWarnings("InfiniteRecursion")
    private static int deep(int depth) {
        return 1 + deep(depth + 1);
    }
}
