package io.jacquard.group;

import java.lang.StackWalker.StackFrame;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Stream;

/// Where operations are called from, as long as looking costs next to nothing.
///
/// A look takes 0.7 to 1 µs, which between kernels nobody sees, but is a tenth of a small all-reduce. So looks may take
/// one part in [#SHARE] of the time, whatever the rank does: in a training step every operation is looked at, in a
/// loop of nothing but small ones every few.
///
/// **Thread**: that of the rank.
final class CallSites {
    /// 1 %.
    private static final int SHARE = 100;

    /// What may be saved up: some 200 looks in a row.
    private static final long MOST_NANOS = 200_000;

    /// A look counts for no more: it was interrupted by something else, or is the first.
    private static final long DEAREST_NANOS = 5_000;

    private static final StackWalker WALKER =
            StackWalker.getInstance(Set.of(StackWalker.Option.RETAIN_CLASS_REFERENCE), 8);
    private static final Function<Stream<StackFrame>, String> CALLER = CallSites::caller;

    private long credit = MOST_NANOS;
    private long last = System.nanoTime();

    /// `Step.java:31`, or empty if it would cost too much now.
    ///
    /// @param now by [System#nanoTime]
    String look(long now) {
        credit = Math.min(MOST_NANOS, credit + (now - last) / SHARE);
        last = now;
        if (credit < 0) {
            return "";
        }
        String caller = here();
        credit -= Math.min(DEAREST_NANOS, System.nanoTime() - now);
        return caller;
    }

    /// As [#look], whatever it costs.
    static String here() {
        return WALKER.walk(CALLER);
    }

    /// The first frame outside the engines; if that is an operation or autograd, also who began the pass:
    /// `AllReduce.java:35 < Step.java:31`.
    private static String caller(Stream<StackFrame> frames) {
        StackFrame operation = null;
        for (StackFrame frame : (Iterable<StackFrame>) frames::iterator) {
            if (isEngine(frame.getDeclaringClass())) {
                continue;
            }
            if (!isLibrary(frame.getDeclaringClass())) {
                return operation == null ? place(frame) : place(operation) + " < " + place(frame);
            }
            operation = operation == null ? frame : operation;
        }
        return operation == null ? "" : place(operation);
    }

    private static boolean isEngine(Class<?> type) {
        return Group.class.isAssignableFrom(type)
                || type == CallSites.class
                || FlightRecorder.isPart(type)
                || type.getName().startsWith("io.jacquard.line.");
    }

    private static boolean isLibrary(Class<?> type) {
        String name = type.getName();
        return name.startsWith("io.jacquard.ops.") || name.startsWith("io.jacquard.tensor.");
    }

    private static String place(StackFrame frame) {
        StackTraceElement e = frame.toStackTraceElement();
        return e.getFileName() + ":" + e.getLineNumber();
    }
}
