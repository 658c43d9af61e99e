package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.ADDRESS;

import java.lang.foreign.Arena;
import java.lang.invoke.MethodHandle;

/// The settings of the emulated driver; a real one has none.
public final class Emulator {
    private Emulator() {}

    /// Changes a setting, such as `arch`, while no device is open. Does nothing on a real driver.
    public static void configure(String key, String value) {
        MethodHandle config = DriverLibrary.get()
                .optional("jacquard_emulator_config", ADDRESS, ADDRESS)
                .orElse(null);
        if (config == null) {
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            int code = (int) config.invokeExact(arena.allocateFrom(key), arena.allocateFrom(value));
            if (code != 0) {
                throw new IllegalArgumentException("emulator: " + key + "=" + value + " is refused: " + code);
            }
        } catch (RuntimeException e) {
            throw e;
        } catch (Throwable t) {
            throw new IllegalStateException("emulator: configure failed in Java", t);
        }
    }
}
