package io.jacquard.benchmarks.suite;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// How often contenders take turns, and until when.
///
/// @param rounds turns of each
/// @param warmUpMillis how long each fork of ours runs before its times count: kernels of the Vector API box their
///     vectors until the last tier of the compiler has them, and then are a hundred times as fast
/// @param repetitions times of one turn
/// @param millis length of an iteration
/// @param steps training steps of one turn
/// @param deadlineNanos on the clock of `System.nanoTime`; [Long#MAX_VALUE] for none
/// @param gpu whether a turn aims at times of a GPU
record Turns(int rounds, int warmUpMillis, int repetitions, int millis, int steps, long deadlineNanos, boolean gpu) {
    /// Twice and more the last-level cache of a GPU; the write also hides the launch that comes behind it.
    private static final int FLUSH_BYTES = 512 << 20;

    /// A peer times several runs at once until they take this long.
    private static final double BATCH_MICROS = 5_000;

    private static final int MOST_LAUNCHES = 10_000;

    /// One row may take no longer than this before its rounds are cut short; two are always run.
    private static final double ROW_SECONDS = 60;

    private static final Duration LONGEST = Duration.ofMinutes(6);

    int flushBytes(Row row) {
        return gpu && row.flushes() ? FLUSH_BYTES : 0;
    }

    static int launches(double micros) {
        return (int) Math.clamp(Math.ceil(BATCH_MICROS / micros), 1, MOST_LAUNCHES);
    }

    boolean isOver() {
        return deadlineNanos != Long.MAX_VALUE && System.nanoTime() - deadlineNanos >= 0;
    }

    boolean enough(int round, long startNanos) {
        return round >= 2 && (isOver() || (System.nanoTime() - startNanos) / 1e9 > ROW_SECONDS);
    }

    /// How long to wait for an answer: compiling takes minutes, a hang must not take the whole budget.
    Duration patience() {
        if (deadlineNanos == Long.MAX_VALUE) {
            return LONGEST;
        }
        Duration left = Duration.ofNanos(Math.max(0, deadlineNanos - System.nanoTime()));
        return left.compareTo(LONGEST) < 0 ? left.plusSeconds(20) : LONGEST;
    }

    static Map<String, Object> command(String what, Object... keysAndValues) {
        Map<String, Object> command = new LinkedHashMap<>();
        command.put("do", what);
        for (int i = 0; i < keysAndValues.length; i += 2) {
            command.put((String) keysAndValues[i], keysAndValues[i + 1]);
        }
        return command;
    }

    static String words(Throwable e) {
        @Nullable String message = e.getMessage();
        return message == null ? e.getClass().getSimpleName() : message;
    }
}
