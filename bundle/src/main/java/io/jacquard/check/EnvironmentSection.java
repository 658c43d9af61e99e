package io.jacquard.check;

import io.jacquard.cuda.driver.Driver;
import io.jacquard.cuda.driver.Gpu;
import io.jacquard.io.Json;
import io.jacquard.tensor.Session;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// What this machine is: for whoever reads the record later.
final class EnvironmentSection {
    private static final List<String> SMI = List.of(
            "nvidia-smi",
            "--query-gpu=index,name,uuid,driver_version,vbios_version,memory.total,power.limit,clocks.max.sm,"
                    + "clocks.max.memory,ecc.mode.current,mig.mode.current,persistence_mode,compute_mode",
            "--format=csv");

    private EnvironmentSection() {}

    public static void main(String[] arguments) {
        Findings.expect(2);
        Findings.fact("java", Runtime.version() + " of " + System.getProperty("java.vendor"));
        Findings.fact("system", System.getProperty("os.name") + " " + System.getProperty("os.version"));
        Findings.fact("cpu", firstLine("/proc/cpuinfo", "model name"));
        Findings.fact("cores", (long) Runtime.getRuntime().availableProcessors());
        Findings.fact("memory", firstLine("/proc/meminfo", "MemTotal"));
        Findings.fact("kernel module", firstLine("/proc/driver/nvidia/version", ""));
        Findings.fact("nvidia-smi", output(SMI));
        Findings.test("the driver opens", EnvironmentSection::driver);
        Findings.test("the device opens and has its kernels", EnvironmentSection::device);
        Findings.fact("doctor", doctor());
    }

    private static void driver() {
        Driver driver = Driver.get();
        Findings.fact("driver", driver.version() / 1000 + "." + driver.version() % 1000 / 10);
        Findings.fact("driver library", driver.path());
        Findings.fact("emulated", driver.isEmulator());
        Findings.fact("devices", (long) driver.deviceCount());
        try (Gpu gpu = driver.open(0)) {
            Findings.fact("device", gpu.name());
            Findings.fact("compute capability", gpu.capability() / 10 + "." + gpu.capability() % 10);
            Findings.fact("multiprocessors", (long) gpu.multiprocessors());
            Findings.fact("memory bytes", gpu.memoryBytes());
            Findings.fact("free bytes", gpu.freeBytes());
        }
    }

    private static void device() {
        try (Session session = Session.open("cuda")) {
            Findings.fact("backend", session.backend().description());
        }
    }

    /// The findings of `jacquard doctor`: libraries with their places and versions.
    private static @Nullable Object doctor() {
        List<String> lines =
                output(Child.command(List.of(), "io.jacquard.cli.Main", "doctor", "--json", "--device", "cuda"));
        for (String line : lines == null ? List.<String>of() : lines) {
            if (line.startsWith("{")) {
                return Json.parseObject("doctor", line).get("findings");
            }
        }
        return null;
    }

    private static @Nullable String firstLine(String file, String start) {
        try (Stream<String> lines = Files.lines(Path.of(file))) {
            return lines.filter(l -> l.startsWith(start))
                    .findFirst()
                    .map(l -> l.substring(start.isEmpty() ? 0 : l.indexOf(':') + 1)
                            .strip())
                    .orElse(null);
        } catch (IOException e) {
            return null;
        }
    }

    /// The lines that a program prints, or null where there is no such program.
    private static @Nullable List<String> output(List<String> command) {
        try {
            Process process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            List<String> lines =
                    new ArrayList<>(new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8)
                            .lines()
                            .toList());
            process.waitFor(5, TimeUnit.SECONDS);
            return lines;
        } catch (IOException e) {
            return null;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return null;
        }
    }
}
