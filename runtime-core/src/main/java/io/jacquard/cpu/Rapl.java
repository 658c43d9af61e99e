package io.jacquard.cpu;

import io.jacquard.tensor.spi.Energy;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.stream.Stream;

/// The processors' own energy counters (Intel and AMD), as Linux shows them: whole packages, whoever uses them, without
/// the memory outside them.
final class Rapl implements Energy {
    /// One package: its counter starts again from 0 after `range`.
    private static final class Domain {
        private final Path counter;
        private final long range;
        private long last;
        private double joules;

        Domain(Path directory) throws IOException {
            counter = directory.resolve("energy_uj");
            range = number(directory.resolve("max_energy_range_uj"));
            last = number(counter);
        }

        double joules() throws IOException {
            long now = number(counter);
            joules += (now >= last ? now - last : range - last + now) / 1e6;
            last = now;
            return joules;
        }
    }

    private final List<Domain> domains;
    private boolean broken;

    private Rapl(List<Domain> domains) {
        this.domains = domains;
    }

    /// Those of this machine, or of the folder that `-Djacquard.cpu.powercap` names.
    static Energy open() {
        return open(Path.of(System.getProperty("jacquard.cpu.powercap", "/sys/class/powercap")));
    }

    /// The packages below `root`, or the reason why they cannot be read.
    static Energy open(Path root) {
        List<Domain> domains = new ArrayList<>();
        try {
            for (Path directory : packages(root)) {
                domains.add(new Domain(directory));
            }
        } catch (AccessDeniedException e) {
            return Energy.unknown(e.getFile() + " may be read by root only; allow it until the next start with:"
                    + " sudo chmod a+r " + root + "/intel-rapl:*/energy_uj");
        } catch (IOException | NumberFormatException e) {
            return Energy.unknown(root + " cannot be read: " + e);
        }
        return domains.isEmpty()
                ? Energy.unknown("there are no RAPL counters in " + root + "; virtual machines rarely have them")
                : new Rapl(domains);
    }

    // Not intel-rapl:0:0, a part of its package, nor intel-rapl-mmio:0, the same package again.
    private static List<Path> packages(Path root) throws IOException {
        if (!Files.isDirectory(root)) {
            return List.of();
        }
        List<Path> packages = new ArrayList<>();
        try (Stream<Path> entries = Files.list(root)) {
            for (Path p : entries.sorted().toList()) {
                if (p.getFileName().toString().matches("intel-rapl:\\d+")
                        && Files.readString(p.resolve("name")).startsWith("package")) {
                    packages.add(p);
                }
            }
        }
        return packages;
    }

    private static long number(Path file) throws IOException {
        return Long.parseLong(Files.readString(file).strip());
    }

    @Override
    public OptionalDouble joules() {
        if (!broken) {
            try {
                double sum = 0;
                for (Domain d : domains) {
                    sum += d.joules();
                }
                return OptionalDouble.of(sum);
            } catch (IOException | NumberFormatException e) {
                broken = true; // a sum over some of the packages would be wrong
            }
        }
        return OptionalDouble.empty();
    }

    @Override
    public String source() {
        return "RAPL, " + domains.size() + (domains.size() == 1 ? " package" : " packages");
    }
}
