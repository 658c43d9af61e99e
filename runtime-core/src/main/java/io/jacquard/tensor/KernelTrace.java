package io.jacquard.tensor;

import io.jacquard.tensor.spi.Backend;
import io.jacquard.tensor.spi.Kernels;
import io.jacquard.tensor.spi.Work;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// The kernels of a session that was asked to look at them ([Debug]): each call is timed alone and measured against
/// its [Work]. It stands between tensors and the backend's kernels, so that a backend knows nothing of it, and a
/// session that was not asked has none.
final class KernelTrace {
    private static final int EACH_CALL = 2;

    private final Backend backend;
    private final int level;
    private final Kernels kernels;
    private final Map<String, Sum> sums = new HashMap<>();
    private boolean capturing;
    private String rooflineTold = "";

    private static final class Sum {
        final String kernel;
        int calls;
        double micros;
        double least;

        Sum(String kernel) {
            this.kernel = kernel;
        }
    }

    private KernelTrace(Backend backend, int level) {
        this.backend = backend;
        this.level = level;
        kernels = (Kernels) Proxy.newProxyInstance(
                Kernels.class.getClassLoader(),
                new Class<?>[] {Kernels.class},
                (_, method, arguments) -> called(method, arguments));
    }

    /// Null when nobody asked.
    static @Nullable KernelTrace ifAsked(Backend backend) {
        int level = Debug.level();
        return level == 0 ? null : new KernelTrace(backend, level);
    }

    Kernels kernels() {
        return kernels;
    }

    /// While a graph is recorded nothing runs, so nothing is timed.
    void capturing(boolean on) {
        capturing = on;
    }

    private @Nullable Object called(Method method, Object @Nullable [] arguments) {
        if (capturing || arguments == null || method.getDeclaringClass() != Kernels.class) {
            return call(backend.kernels(), method, arguments);
        }
        double micros = timed(method, arguments);
        Work work = Work.of(counter -> call(counter, method, arguments));
        double least = roofline().micros(work);
        Sum sum = sums.computeIfAbsent(method.getName(), Sum::new);
        sum.calls++;
        sum.micros += micros;
        sum.least += least;
        if (level >= EACH_CALL) {
            tellRoofline();
            System.err.printf(
                    Locale.ROOT,
                    "%-16s %10.1f us  %s %3.0f%%  %s%n",
                    method.getName(),
                    micros,
                    rate(work, micros),
                    100 * least / micros,
                    list(arguments));
        }
        return null;
    }

    private double timed(Method method, Object[] arguments) {
        try {
            return backend.micros(() -> call(backend.kernels(), method, arguments));
        } catch (DeviceOutOfMemoryException e) {
            throw e;
        } catch (DeviceException e) {
            throw new DeviceException("in " + method.getName() + "(" + list(arguments) + "): " + e.getMessage(), e);
        }
    }

    private static String list(Object[] arguments) {
        return Arrays.stream(arguments).map(KernelTrace::text).collect(Collectors.joining(", "));
    }

    private static @Nullable Object call(Kernels on, Method method, Object @Nullable [] arguments) {
        try {
            return method.invoke(on, arguments);
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof RuntimeException runtime) {
                throw runtime;
            }
            if (e.getCause() instanceof Error error) {
                throw error;
            }
            throw new IllegalStateException(e);
        } catch (IllegalAccessException e) {
            throw new IllegalStateException(e);
        }
    }

    private Roofline roofline() {
        return Roofline.of(backend.device().toString());
    }

    private void tellRoofline() {
        String now = roofline().toString();
        if (!now.equals(rooflineTold)) {
            rooflineTold = now;
            System.err.println("roofline of " + now);
        }
    }

    private String rate(Work work, double micros) {
        return roofline().boundByMatrixUnit(work)
                ? String.format(Locale.ROOT, "%8.3f TFLOP/s", work.operations() / micros / 1e6)
                : String.format(Locale.ROOT, "%8.1f GB/s   ", work.bytes() / micros / 1e3);
    }

    private static String text(@Nullable Object argument) {
        return switch (argument) {
            case null -> "-";
            case long[] a -> Arrays.toString(a);
            case int[] a -> Arrays.toString(a);
            default -> argument.toString();
        };
    }

    /// Prints what the kernels took since the last summary, the slowest first; nothing when none was called.
    void summarize(String title) {
        if (sums.isEmpty()) {
            return;
        }
        List<Sum> slowest = sums.values().stream()
                .sorted(Comparator.comparingDouble((Sum s) -> -s.micros))
                .toList();
        Sum all = new Sum(title);
        for (Sum s : slowest) {
            all.calls += s.calls;
            all.micros += s.micros;
            all.least += s.least;
        }
        tellRoofline();
        System.err.printf(
                Locale.ROOT,
                "%s: %d kernel calls, %.0f us, %.0f%% of the roofline%n",
                title,
                all.calls,
                all.micros,
                100 * all.least / all.micros);
        for (Sum s : slowest) {
            System.err.printf(
                    Locale.ROOT,
                    "  %-16s %6d calls %12.0f us %5.1f%% of the time, %3.0f%% of the roofline%n",
                    s.kernel,
                    s.calls,
                    s.micros,
                    100 * s.micros / all.micros,
                    100 * s.least / s.micros);
        }
        sums.clear();
    }
}
