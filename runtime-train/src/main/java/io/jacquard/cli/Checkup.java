package io.jacquard.cli;

import io.jacquard.tensor.Session;
import io.jacquard.tensor.spi.BackendProvider;
import io.jacquard.tensor.spi.Finding;
import io.jacquard.tensor.spi.Finding.State;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.ServiceLoader;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Looks at this machine.
final class Checkup {
    private static final int JAVA = 25;
    private static final List<String> CPU_FEATURES =
            List.of("avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8");

    /// What the CUDA backend, where it is on the class path, calls its own look at the driver.
    private static final String DRIVER_OF_BACKEND = "cuda driver";

    private final String device;
    private final List<Finding> findings = new ArrayList<>();

    Checkup(String device) {
        this.device = device;
    }

    List<Finding> run() {
        java();
        flags();
        cpu();
        memory();
        device();
        for (BackendProvider provider : ServiceLoader.load(BackendProvider.class)) {
            findings.addAll(provider.findings());
        }
        gpu();
        return List.copyOf(findings);
    }

    private void add(State state, String what, String found, @Nullable String fix) {
        findings.add(new Finding(state, what, found, fix));
    }

    private void java() {
        int version = Runtime.version().feature();
        String found = Runtime.version() + " (" + System.getProperty("java.vendor") + ") in "
                + System.getProperty("java.home");
        boolean fits = version == JAVA;
        add(
                fits ? State.OK : State.BAD,
                "java",
                found,
                fits
                        ? null
                        : "the Vector API of this build is that of JDK 25: set JAVA25_HOME to one (https://adoptium.net)");
    }

    private void flags() {
        boolean vector = ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
        add(
                vector ? State.OK : State.BAD,
                "vector api",
                vector ? "on" : "off",
                vector ? null : "start with ./jacquard, or add --add-modules jdk.incubator.vector");
        boolean access = Session.class.getModule().isNativeAccessEnabled();
        add(
                access ? State.OK : State.WARN,
                "native access",
                access ? "on" : "off",
                access ? null : "start with ./jacquard, or add --enable-native-access=ALL-UNNAMED");
    }

    private void cpu() {
        String name = "unknown";
        TreeSet<String> features = new TreeSet<>();
        try (Stream<String> lines = Files.lines(Path.of("/proc/cpuinfo"))) {
            for (String line : lines.filter(l -> l.startsWith("model name") || l.startsWith("flags"))
                    .limit(2)
                    .toList()) {
                String value = line.substring(line.indexOf(':') + 1).strip();
                if (line.startsWith("flags")) {
                    features.addAll(List.of(value.split(" ")));
                } else {
                    name = value;
                }
            }
        } catch (IOException e) {
            add(State.WARN, "cpu", "cannot read /proc/cpuinfo: " + e.getMessage(), "the CPU backend needs Linux");
            return;
        }
        String fast = CPU_FEATURES.stream().filter(features::contains).collect(Collectors.joining(" "));
        boolean bf16 = features.contains("amx_bf16") || features.contains("avx512_bf16");
        add(
                features.contains("avx2") ? State.OK : State.WARN,
                "cpu",
                name + ", " + Runtime.getRuntime().availableProcessors() + " cores for Java; " + fast
                        + (bf16 ? "" : "; no bf16 arithmetic: training.dtype=bf16 would be slower than f32"),
                features.contains("avx2") ? null : "a CPU with AVX2 trains several times faster");
    }

    private void memory() {
        try (Stream<String> lines = Files.lines(Path.of("/proc/meminfo"))) {
            String available =
                    lines.filter(l -> l.startsWith("MemAvailable")).findFirst().orElse("MemAvailable: 0 kB");
            double gib = Long.parseLong(available.replaceAll("\\D", "")) / 1048576.0;
            add(
                    gib >= 2 ? State.OK : State.WARN,
                    "memory",
                    String.format(Locale.ROOT, "%.1f GiB available", gib),
                    gib >= 2 ? null : "close other programs, or train with a smaller training.microBatch");
        } catch (IOException | NumberFormatException e) {
            add(State.WARN, "memory", "unknown: " + e.getMessage(), null);
        }
    }

    private void device() {
        try (Session session = Session.open(device)) {
            add(
                    State.OK,
                    "device",
                    device + " opens, "
                            + String.format(
                                    Locale.ROOT, "%.1f GiB", session.backend().memoryBytes() / 1073741824.0)
                            + "; " + session.backend().description(),
                    null);
            loaded("onednn", "libdnnl");
            loaded("openmp", "libgomp");
        } catch (LinkageError | RuntimeException e) {
            boolean cpu = device.startsWith("cpu");
            add(
                    State.BAD,
                    "device",
                    device + " does not open: "
                            + (cpu
                                    ? String.valueOf(e.getMessage())
                                            .lines()
                                            .findFirst()
                                            .orElse("")
                                    : e.getMessage()),
                    cpu
                            ? "run './jacquard --version' to build again; if it stays, report it"
                            : "as the message says; or train with --device cpu");
        }
    }

    // What the process has mapped is the truth about which file was found.
    private void loaded(String what, String library) {
        try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
            maps.filter(l -> l.contains(library) && l.contains("/"))
                    .findFirst()
                    .ifPresent(l -> add(State.OK, what, l.substring(l.indexOf('/')), null));
        } catch (IOException e) {
            add(State.WARN, what, "cannot read /proc/self/maps: " + e.getMessage(), null);
        }
    }

    /// Where the CUDA backend is not on the class path, whose findings say more.
    private void gpu() {
        if (findings.stream().anyMatch(f -> f.what().equals(DRIVER_OF_BACKEND))) {
            return;
        }
        Path version = Path.of("/proc/driver/nvidia/version");
        if (!Files.isReadable(version)) {
            add(State.OK, "gpu", "no NVIDIA driver; training runs on the CPU", null);
            return;
        }
        String driver;
        try (Stream<String> lines = Files.lines(version)) {
            driver = lines.findFirst().orElse("unknown").replaceAll("\\s+", " ");
        } catch (IOException e) {
            driver = "unreadable: " + e.getMessage();
        }
        add(State.OK, "gpu", driver + "; './jacquard doctor --device cuda' looks at its libraries", null);
    }
}
