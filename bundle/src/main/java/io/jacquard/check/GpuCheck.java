package io.jacquard.check;

import io.jacquard.io.AtomicFiles;
import io.jacquard.io.Json;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

@Command(
        name = "gpu-check",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        description =
                "Checks on the GPU of this machine whether kernels and training give the right numbers, and leaves"
                        + " one JSON record. Takes some minutes.",
        footer = {
            "",
            "Sections: environment, contract, probes, library, emulator, curve, training, groups," + " sanitizer.",
            "Exit codes: 0 everything holds, 1 something does not, 2 wrong usage."
        })
public final class GpuCheck implements Callable<Integer> {
    private static final double MINUTES = 530 / 60.0;

    @Spec
    private @Nullable CommandSpec spec;

    @Option(names = "--out", paramLabel = "FILE", description = "The record (default: gpu-check.json).")
    private Path out = Path.of("gpu-check.json");

    @Option(names = "--only", split = ",", paramLabel = "SECTION", description = "These sections alone.")
    private List<String> only = new ArrayList<>();

    @Option(names = "--device", paramLabel = "DEVICE", description = "cuda:0, cuda:1, ... (default: cuda:0).")
    private String device = "cuda:0";

    @Option(
            names = "--driver",
            paramLabel = "FILE",
            description = "Driver library instead of libcuda.so.1, such as emulator/libjacquard-emulator.so.")
    private @Nullable Path driver;

    @Option(
            names = "--size",
            paramLabel = "full|small",
            description = "How much the sections emulator and curve do (default: full; small on the emulator).")
    private @Nullable String size;

    @Option(names = "--seed", paramLabel = "N", description = "Of the random inputs (default: another each time).")
    private long seed = Instant.now().getEpochSecond();

    @Option(
            names = "--minutes",
            paramLabel = "N",
            description = "Limit for everything, shared out to the sections (default: 8.8).")
    private double minutes = MINUTES;

    private PrintWriter err = new PrintWriter(System.err, true, StandardCharsets.UTF_8);
    private final long start = System.nanoTime();

    public static void main(String[] arguments) {
        System.exit(run(arguments));
    }

    static int run(String... arguments) {
        return new CommandLine(new GpuCheck()).execute(arguments);
    }

    @Override
    public Integer call() throws IOException {
        err = Objects.requireNonNull(spec).commandLine().getErr();
        Set<Section> asked = asked();
        if (driver != null) {
            System.setProperty("jacquard.cuda.driver", driver.toAbsolutePath().toString());
        }
        Map<String, @Nullable Object> record = new LinkedHashMap<>();
        record.put("record", "gpu-check");
        record.put("started", Instant.now().toString());
        record.put("bundle", Manifest.read());
        Map<String, @Nullable Object> sections = new LinkedHashMap<>();
        boolean passed = true;
        boolean usable = true;
        for (Section section : Section.values()) {
            if (!usable || !asked.contains(section)) {
                sections.put(section.id(), usable ? "not asked for" : "not run");
                continue;
            }
            SectionRun run = new SectionRun(section, this::tell);
            run.run(limit(section), arguments(section), environment());
            if (section == Section.ENVIRONMENT) {
                learn(run);
                usable = run.ok();
            }
            passed &= run.ok();
            sections.put(section.id(), run.record());
        }
        record.put("passed", passed);
        record.put("complete", usable && asked.size() == Section.values().length);
        record.put("seconds", Math.round((System.nanoTime() - start) / 1e8) / 10.0);
        record.put("size", size);
        record.put("sections", sections);
        write(record);
        tell((passed ? "PASSED" : "FAILED") + (asked.size() < Section.values().length ? " (not all sections)" : "")
                + "; the record is " + out);
        return passed ? 0 : 1;
    }

    private void write(Map<String, @Nullable Object> record) throws IOException {
        Path folder = out.toAbsolutePath().getParent();
        if (folder != null) {
            Files.createDirectories(folder);
        }
        AtomicFiles.writeText(out.toAbsolutePath(), Json.renderLines(record));
    }

    /// The environment is always looked at: a record without is worth nothing.
    private Set<Section> asked() {
        Set<Section> sections = only.isEmpty() ? EnumSet.allOf(Section.class) : EnumSet.of(Section.ENVIRONMENT);
        CommandLine command = Objects.requireNonNull(spec).commandLine();
        for (String name : only) {
            try {
                sections.add(Section.valueOf(name.toUpperCase(Locale.ROOT)));
            } catch (IllegalArgumentException e) {
                throw new ParameterException(command, "--only: there is no section " + name, e);
            }
        }
        if (size != null && !size.equals("full") && !size.equals("small")) {
            throw new ParameterException(command, "--size: full or small, not " + size);
        }
        if (!device.matches("cuda(:\\d+)?")) {
            throw new ParameterException(command, "--device: " + device + " is not like cuda:0");
        }
        if (!(minutes > 0)) {
            throw new ParameterException(command, "--minutes must be positive");
        }
        return sections;
    }

    private void learn(SectionRun environment) {
        if (size == null) {
            size = Boolean.TRUE.equals(environment.fact("emulated")) ? "small" : "full";
        }
    }

    /// Its own limit, or what is left of all.
    private double limit(Section section) {
        double left = 60 * minutes - (System.nanoTime() - start) / 1e9;
        return Math.clamp(section.seconds * minutes / MINUTES, 1, Math.max(1, left));
    }

    private List<String> arguments(Section section) {
        String chosen = Objects.requireNonNullElse(size, "full");
        return switch (section) {
            case CONTRACT, LIBRARY, TRAINING, GROUPS -> section.suites();
            case EMULATOR -> List.of(Long.toString(seed), chosen.equals("full") ? "400" : "40");
            case CURVE -> List.of(chosen);
            default -> List.of();
        };
    }

    /// The driver shows the sections one device, which is their first: tests name none.
    private Map<String, String> environment() {
        int index = device.contains(":") ? Integer.parseInt(device.substring(device.indexOf(':') + 1)) : 0;
        String visible = System.getenv("CUDA_VISIBLE_DEVICES");
        if (visible == null) {
            return index == 0 ? Map.of() : Map.of("CUDA_VISIBLE_DEVICES", Integer.toString(index));
        }
        String[] all = visible.split(",", -1);
        return Map.of("CUDA_VISIBLE_DEVICES", index < all.length ? all[index].strip() : "");
    }

    private void tell(String line) {
        err.printf(Locale.ROOT, "%6.1f s  %s%n", (System.nanoTime() - start) / 1e9, line);
        err.flush();
    }
}
