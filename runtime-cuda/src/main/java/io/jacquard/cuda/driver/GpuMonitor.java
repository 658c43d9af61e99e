package io.jacquard.cuda.driver;

import static org.bytedeco.cuda.global.nvml.NVML_CLOCK_MEM;
import static org.bytedeco.cuda.global.nvml.NVML_CLOCK_SM;
import static org.bytedeco.cuda.global.nvml.NVML_TEMPERATURE_GPU;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetClockInfo;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetCurrentClocksThrottleReasons;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetEnforcedPowerLimit;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetMaxClockInfo;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetMemoryInfo;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetName;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetPowerUsage;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetTemperature;
import static org.bytedeco.cuda.global.nvml.nvmlDeviceGetTotalEnergyConsumption;

import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.spi.Energy;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import org.bytedeco.cuda.nvml.nvmlDevice_st;
import org.bytedeco.cuda.nvml.nvmlMemory_t;
import org.bytedeco.javacpp.Pointer;

/// One GPU as NVIDIA's management library sees it. Nothing here waits for the device or launches anything on it.
public final class GpuMonitor implements Energy {
    /// Reasons for lower clocks that cost speed; being idle or told to is none.
    private static final long POWER_CAP = 0x4;

    private static final long HARDWARE_SLOWDOWN = 0x8;
    private static final long SOFTWARE_THERMAL = 0x20;
    private static final long HARDWARE_THERMAL = 0x40;
    private static final long POWER_BRAKE = 0x80;

    /// How a GPU is; a number is absent where the device does not tell it.
    ///
    /// @param driver version of the driver
    /// @param throttled by what its clocks are held down now
    public record Status(
            String name,
            String driver,
            OptionalLong memoryBytes,
            OptionalLong usedBytes,
            OptionalLong milliwatts,
            OptionalLong limitMilliwatts,
            OptionalLong megahertz,
            OptionalLong mostMegahertz,
            OptionalLong memoryMegahertz,
            OptionalLong celsius,
            List<String> throttled) {}

    private final Nvml nvml;
    private final nvmlDevice_st device;
    private final long[] energy = new long[1];

    private GpuMonitor(Nvml nvml, nvmlDevice_st device) {
        this.nvml = nvml;
        this.device = device;
    }

    /// That of `cuda:<ordinal>`, which need not be open.
    ///
    /// @throws DeviceException if there is no NVML, or it does not know the device; with what to do
    public static GpuMonitor of(int ordinal) {
        return of(Driver.get().bus(ordinal));
    }

    static GpuMonitor of(String bus) {
        Nvml nvml = Nvml.get();
        return new GpuMonitor(nvml, nvml.device(bus));
    }

    /// The energy meter of the device at that place, or the reason why there is none.
    static Energy energy(String bus) {
        try {
            GpuMonitor monitor = of(bus);
            return monitor.joules().isPresent()
                    ? monitor
                    : Energy.unknown("NVML has no energy counter for " + monitor.name());
        } catch (DeviceException e) {
            return Energy.unknown(String.valueOf(e.getMessage()));
        }
    }

    @Override
    public OptionalDouble joules() {
        if (!nvml.has("nvmlDeviceGetTotalEnergyConsumption")
                || nvmlDeviceGetTotalEnergyConsumption(device, energy) != 0) {
            return OptionalDouble.empty();
        }
        return OptionalDouble.of(energy[0] / 1e3);
    }

    @Override
    public String source() {
        return "NVML, " + name();
    }

    private String name() {
        return nvml.text(b -> nvmlDeviceGetName(device, b, b.length));
    }

    /// The state of this moment.
    @SuppressWarnings("deprecation") // what replaces them is not in drivers that we run on
    public Status status() {
        OptionalLong total = OptionalLong.empty();
        OptionalLong used = OptionalLong.empty();
        try (Arena arena = Arena.ofConfined()) {
            Memory memory = new Memory(arena.allocate(Memory.BYTES, 8));
            if (nvmlDeviceGetMemoryInfo(device, memory) == 0) {
                total = OptionalLong.of(memory.total());
                used = OptionalLong.of(memory.used());
            }
        }
        return new Status(
                name(),
                nvml.driverVersion(),
                total,
                used,
                number("nvmlDeviceGetPowerUsage", v -> nvmlDeviceGetPowerUsage(device, v)),
                number("nvmlDeviceGetEnforcedPowerLimit", v -> nvmlDeviceGetEnforcedPowerLimit(device, v)),
                number("nvmlDeviceGetClockInfo", v -> nvmlDeviceGetClockInfo(device, NVML_CLOCK_SM, v)),
                number("nvmlDeviceGetMaxClockInfo", v -> nvmlDeviceGetMaxClockInfo(device, NVML_CLOCK_SM, v)),
                number("nvmlDeviceGetClockInfo", v -> nvmlDeviceGetClockInfo(device, NVML_CLOCK_MEM, v)),
                number("nvmlDeviceGetTemperature", v -> nvmlDeviceGetTemperature(device, NVML_TEMPERATURE_GPU, v)),
                throttled());
    }

    private OptionalLong number(String function, Nvml.Question<int[]> question) {
        int[] value = new int[1];
        return nvml.has(function) && question.ask(value) == 0
                ? OptionalLong.of(Integer.toUnsignedLong(value[0]))
                : OptionalLong.empty();
    }

    @SuppressWarnings("deprecation")
    private List<String> throttled() {
        long[] reasons = new long[1];
        if (!nvml.has("nvmlDeviceGetCurrentClocksThrottleReasons")
                || nvmlDeviceGetCurrentClocksThrottleReasons(device, reasons) != 0) {
            return List.of();
        }
        List<String> words = new ArrayList<>();
        if ((reasons[0] & POWER_CAP) != 0) {
            words.add("its power limit");
        }
        if ((reasons[0] & (SOFTWARE_THERMAL | HARDWARE_THERMAL)) != 0) {
            words.add("its temperature");
        }
        if ((reasons[0] & POWER_BRAKE) != 0) {
            words.add("the machine's power supply");
        }
        if (words.isEmpty() && (reasons[0] & HARDWARE_SLOWDOWN) != 0) {
            words.add("its hardware's protection");
        }
        return List.copyOf(words);
    }

    /// Over memory that somebody else owns.
    private static final class Memory extends nvmlMemory_t {
        static final long BYTES = 3 * Long.BYTES;

        Memory(MemorySegment memory) {
            super((Pointer) null);
            address = memory.address();
        }
    }
}
