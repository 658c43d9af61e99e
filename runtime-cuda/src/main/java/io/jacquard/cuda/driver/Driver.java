package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.tensor.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// The driver of this process, found and initialised.
public final class Driver {
    /// Domain, bus, device.
    private static final int[] PCI_ATTRIBUTES = {50, 33, 34};

    /// The oldest [#version] that serves: cubins run on drivers of their own major version of CUDA.
    public static final int OLDEST = 13000;

    private static @Nullable Driver initialised;

    private final DriverLibrary library;
    private final Optional<MethodHandle> emulatorError;
    private final @Nullable MethodHandle emulatorUndefine;

    private Driver(DriverLibrary library) {
        this.library = library;
        this.emulatorError = library.addressFunction("jacquard_emulator_error");
        this.emulatorUndefine = library.optional("jacquard_emulator_undefine", JAVA_LONG, JAVA_LONG, JAVA_LONG)
                .orElse(null);
    }

    /// Finds the library and initialises the driver; the second time returns at once.
    ///
    /// @throws DeviceException with what was tried, or why the driver refused
    public static synchronized Driver get() {
        if (initialised == null) {
            Driver driver = new Driver(DriverLibrary.get());
            try {
                driver.check(Calls.init(0), "cuda: cuInit");
            } catch (ExceptionInInitializerError e) {
                if (e.getCause() instanceof DeviceException missing) {
                    throw missing;
                }
                throw e;
            }
            initialised = driver;
        }
        return initialised;
    }

    /// The file that was opened.
    public String path() {
        return library.path();
    }

    /// Whether this is the emulator of this project.
    public boolean isEmulator() {
        return emulatorError.isPresent();
    }

    /// As the driver counts: 12040 is 12.4.
    public int version() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment version = arena.allocate(JAVA_INT);
            check(Calls.driverGetVersion(version.address()), "cuda: cuDriverGetVersion");
            return version.get(JAVA_INT, 0);
        }
    }

    /// How many devices there are; `CUDA_VISIBLE_DEVICES` hides some.
    public int deviceCount() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment count = arena.allocate(JAVA_INT);
            check(Calls.deviceGetCount(count.address()), "cuda: cuDeviceGetCount");
            return count.get(JAVA_INT, 0);
        }
    }

    /// Where on the PCI bus a device is: what `CUDA_VISIBLE_DEVICES` and the order of devices do not change.
    String bus(int ordinal) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocate(JAVA_INT);
            check(Calls.deviceGet(value.address(), ordinal), "cuda: cuDeviceGet");
            int device = value.get(JAVA_INT, 0);
            int[] place = new int[PCI_ATTRIBUTES.length];
            for (int i = 0; i < place.length; i++) {
                check(
                        Calls.deviceGetAttribute(value.address(), PCI_ATTRIBUTES[i], device),
                        "cuda: cuDeviceGetAttribute");
                place[i] = value.get(JAVA_INT, 0);
            }
            return String.format(Locale.ROOT, "%08X:%02X:%02X.0", place[0], place[1], place[2]);
        }
    }

    /// Opens a device for the calling thread.
    ///
    /// @throws DeviceException if there is none of that number, or the driver is too old for our kernels
    public Gpu open(int ordinal) {
        int version = version();
        if (version < OLDEST) {
            throw new DeviceException("cuda: the driver at " + path() + " is for CUDA " + version / 1000 + "."
                    + version % 1000 / 10 + "; the kernels need 13.0, which is driver 580 or newer: update it"
                    + " (nvidia-smi shows its version), or train with --device cpu");
        }
        int count = deviceCount();
        if (ordinal >= count) {
            throw new DeviceException("device: cuda:" + ordinal + " does not exist; the driver shows " + count
                    + (count == 1 ? " device, cuda:0" : " devices")
                    + "; CUDA_VISIBLE_DEVICES may hide some, nvidia-smi -L lists all");
        }
        return new Gpu(this, ordinal);
    }

    /// Tells a driver that checks reads of memory that these bytes hold nothing any more; others are not called.
    void discard(long address, long bytes, long stream) {
        if (emulatorUndefine != null) {
            try {
                // an error of an earlier launch comes to light where somebody waits for it
                int _ = (int) emulatorUndefine.invokeExact(address, bytes, stream);
            } catch (Throwable t) {
                throw new IllegalStateException("cuda: the call of jacquard_emulator_undefine failed in Java", t);
            }
        }
    }

    void check(int result, String operation) {
        if (result != 0) {
            throw failure(result, operation);
        }
    }

    /// What the driver says about an error, behind what was asked of it.
    DeviceException failure(int result, String operation) {
        StringBuilder text = new StringBuilder(operation).append(": ");
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment at = arena.allocate(JAVA_LONG);
            String name =
                    Calls.getErrorName(result, at.address()) == 0 ? DriverLibrary.text(at.get(JAVA_LONG, 0)) : null;
            text.append(name == null ? "CUDA error" : name)
                    .append(" (")
                    .append(result)
                    .append(")");
            String words =
                    Calls.getErrorString(result, at.address()) == 0 ? DriverLibrary.text(at.get(JAVA_LONG, 0)) : null;
            if (words != null) {
                text.append(": ").append(words);
            }
        }
        String detail = emulatorText();
        if (detail != null && !detail.isBlank()) {
            text.append("; emulator: ").append(detail);
        }
        return new DeviceException(text.toString());
    }

    private @Nullable String emulatorText() {
        if (emulatorError.isEmpty()) {
            return null;
        }
        try {
            return DriverLibrary.text((long) emulatorError.get().invokeExact());
        } catch (Throwable t) {
            throw new IllegalStateException("cuda: the call of jacquard_emulator_error failed in Java", t);
        }
    }
}
