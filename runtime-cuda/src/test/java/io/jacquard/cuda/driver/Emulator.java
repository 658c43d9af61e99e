package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.invoke.MethodHandle;
import org.jspecify.annotations.Nullable;

/// The settings of the emulated driver; a real one has none.
public final class Emulator {
    private static final @Nullable MethodHandle CONFIG = DriverLibrary.get()
            .optional("jacquard_emulator_config", ADDRESS, ADDRESS)
            .orElse(null);

    private Emulator() {}

    /// Changes a setting while nothing runs; `arch` while no device is open. Does nothing on a real driver.
    public static void configure(String key, String value) {
        if (CONFIG == null) {
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            int code = (int) CONFIG.invokeExact(arena.allocateFrom(key), arena.allocateFrom(value));
            if (code != 0) {
                throw new IllegalArgumentException("emulator: " + key + "=" + value + " is refused: " + code);
            }
        } catch (RuntimeException e) {
            throw e;
        } catch (Throwable t) {
            throw new IllegalStateException("emulator: configure failed in Java", t);
        }
    }

    /// How often the emulated driver was asked for one of these functions; 0 on a real driver.
    public static int calls(String... functions) {
        MethodHandle calls =
                DriverLibrary.get().optional("jacquard_emulator_calls", ADDRESS).orElse(null);
        int sum = 0;
        try (Arena arena = Arena.ofConfined()) {
            for (String function : calls == null ? new String[0] : functions) {
                sum += (int) calls.invokeExact(arena.allocateFrom(function));
            }
            return sum;
        } catch (Throwable t) {
            throw new IllegalStateException("emulator: calls failed in Java", t);
        }
    }

    /// How often the host has waited for the emulated device, or done what waits for it on a real one.
    public static int waits() {
        return calls(
                "cuCtxSynchronize",
                "cuEventSynchronize",
                "cuStreamSynchronize",
                "cuMemFree_v2",
                "cuMemcpyDtoD_v2",
                "cuMemcpyDtoH_v2",
                "cuMemcpyHtoD_v2");
    }

    /// Puts a mutation in force (0: none) in a library of mutants.
    public static void chooseMutation(int number) {
        mutation("jacquard_choose_mutation", number);
    }

    /// Whether a kernel came past that mutation since the library was opened.
    public static boolean mutationReached(int number) {
        return mutation("jacquard_mutation_reached", number) != 0;
    }

    private static int mutation(String function, int number) {
        try {
            return (int) DriverLibrary.get().function(function, JAVA_INT).invokeExact(number);
        } catch (RuntimeException e) {
            throw e;
        } catch (Throwable t) {
            throw new IllegalStateException("emulator: " + function + " failed in Java", t);
        }
    }
}
