package io.jacquard.cuda;

import io.jacquard.cuda.driver.Driver;
import io.jacquard.cuda.driver.GpuMonitor;
import io.jacquard.cuda.driver.NvidiaLibrary;
import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.spi.Finding;
import io.jacquard.tensor.spi.Finding.State;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;

/// How the GPUs of this machine are, for `doctor`. Opens none of them.
final class GpuFindings {
    private GpuFindings() {}

    /// One for each device that the driver shows; the driver must be there.
    static List<Finding> all() {
        List<Finding> findings = new ArrayList<>();
        for (int i = 0; i < Driver.get().deviceCount(); i++) {
            try {
                findings.add(of("cuda:" + i, GpuMonitor.of(i).status()));
            } catch (DeviceException e) {
                findings.add(new Finding(
                        State.WARN,
                        "nvml",
                        e.getMessage() + tried(),
                        "without it energy and the state of the GPU stay unknown"));
                break;
            }
        }
        return findings;
    }

    private static Finding of(String device, GpuMonitor.Status s) {
        List<String> parts = new ArrayList<>(List.of(s.name(), "driver " + s.driver()));
        if (s.memoryBytes().isPresent() && s.usedBytes().isPresent()) {
            parts.add(String.format(
                    Locale.ROOT,
                    "%.1f of %.1f GiB used",
                    s.usedBytes().getAsLong() / 1073741824.0,
                    s.memoryBytes().getAsLong() / 1073741824.0));
        }
        add(parts, s.milliwatts(), s.limitMilliwatts(), 1000, "W");
        add(parts, s.megahertz(), s.mostMegahertz(), 1, "MHz");
        add(parts, s.memoryMegahertz(), OptionalLong.empty(), 1, "MHz memory");
        add(parts, s.celsius(), OptionalLong.empty(), 1, "\u00b0C");
        if (s.throttled().isEmpty()) {
            return new Finding(State.OK, device, String.join(", ", parts), null);
        }
        parts.add("slowed down by " + String.join(" and ", s.throttled()));
        return new Finding(State.WARN, device, String.join(", ", parts), remedy(s.throttled()));
    }

    private static void add(List<String> parts, OptionalLong value, OptionalLong of, long divisor, String unit) {
        if (value.isPresent()) {
            parts.add(Math.round((double) value.getAsLong() / divisor)
                    + (of.isPresent() ? " of " + Math.round((double) of.getAsLong() / divisor) : "") + " " + unit);
        }
    }

    private static String remedy(List<String> reasons) {
        return reasons.equals(List.of("its power limit"))
                ? "usual under full load; 'nvidia-smi -q -d POWER' shows the limit, 'nvidia-smi -pl WATTS' changes it"
                : "measure nothing now; 'nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER' shows more: look at cooling and"
                        + " power supply";
    }

    private static String tried() {
        StringBuilder text = new StringBuilder();
        for (NvidiaLibrary l : NvidiaLibrary.lookedFor()) {
            if (!l.isOpen() && l.name().startsWith("libnvidia-ml")) { // the others have lines of their own
                text.append("; ").append(l.name()).append(" tried in ").append(String.join(", ", l.tried()));
            }
        }
        return text.toString();
    }
}
