package io.jacquard.tensor;

import java.util.function.Supplier;

/// How closely sessions look at kernels, for the whole JVM; read when a session opens. `./jacquard` sets them by
/// `--debug` and `--sync`.
///
/// `-Djacquard.debug=1` times each kernel call and sums up by kernel at each [Session#summarize]; `2` prints each
/// call, too, with operands, device time, rate, and the fraction of the [Roofline]; `3` prints what a GPU launched for
/// it, too. `-Djacquard.sync=true` waits for each launch, so that an error names it. Both look at what runs eagerly:
/// the launches of a graph are not seen.
public final class Debug {
    /// The system property of the level, 0 to 3.
    public static final String LEVEL = "jacquard.debug";

    /// The system property that, `true`, waits for each launch.
    public static final String SYNC = "jacquard.sync";

    /// The highest level.
    public static final int MOST = 3;

    private static final ScopedValue<Boolean> OFF = ScopedValue.newInstance();

    private Debug() {}

    /// Calls `work`, whose sessions nobody looks at: what debugging itself has to run.
    static <T> T without(Supplier<T> work) {
        return ScopedValue.where(OFF, true).call(work::get);
    }

    /// The level; 0 when nobody asked.
    ///
    /// @throws IllegalArgumentException if it is not a number from 0 to 3
    public static int level() {
        if (OFF.isBound()) {
            return 0;
        }
        String value = System.getProperty(LEVEL, "0");
        if (value.length() != 1 || value.charAt(0) < '0' || value.charAt(0) > '0' + MOST) {
            throw new IllegalArgumentException(LEVEL + ": '" + value + "' is not a level from 0 to " + MOST);
        }
        return value.charAt(0) - '0';
    }

    /// Whether to wait for each launch.
    public static boolean sync() {
        return !OFF.isBound() && Boolean.getBoolean(SYNC);
    }
}
