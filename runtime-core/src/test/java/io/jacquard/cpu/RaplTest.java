package io.jacquard.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.jacquard.tensor.spi.Energy;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RaplTest {
    @TempDir
    Path root = Path.of("");

    private void domain(String directory, String name, long microjoules) throws IOException {
        Path d = Files.createDirectories(root.resolve(directory));
        Files.writeString(d.resolve("name"), name + "\n");
        Files.writeString(d.resolve("max_energy_range_uj"), "1000000000\n");
        count(directory, microjoules);
    }

    private void count(String directory, long microjoules) throws IOException {
        Files.writeString(root.resolve(directory).resolve("energy_uj"), microjoules + "\n");
    }

    @Test
    void packagesAreAddedAndTheirPartsAreNot() throws IOException {
        domain("intel-rapl:0", "package-0", 5_000_000);
        domain("intel-rapl:0:0", "core", 1_000_000);
        domain("intel-rapl:1", "package-1", 7_000_000);
        domain("intel-rapl:2", "psys", 9_000_000);
        domain("intel-rapl-mmio:0", "package-0", 5_000_000);
        Energy rapl = Rapl.open(root);
        assertEquals("RAPL, 2 packages", rapl.source());
        assertEquals(OptionalDouble.of(0), rapl.joules());
        count("intel-rapl:0", 6_500_000);
        count("intel-rapl:0:0", 2_000_000);
        count("intel-rapl:1", 7_250_000);
        count("intel-rapl:2", 19_000_000);
        count("intel-rapl-mmio:0", 6_500_000);
        assertEquals(OptionalDouble.of(1.75), rapl.joules());
        assertEquals(OptionalDouble.of(1.75), rapl.joules());
    }

    @Test
    void aCounterThatStartsAgainGoesOn() throws IOException {
        domain("intel-rapl:0", "package-0", 999_000_000);
        Energy rapl = Rapl.open(root);
        count("intel-rapl:0", 2_000_000);
        assertEquals(OptionalDouble.of(3), rapl.joules());
        count("intel-rapl:0", 1_000_000);
        assertEquals(OptionalDouble.of(3 + 999), rapl.joules());
    }

    @Test
    void aMachineWithoutCountersSaysSo() throws IOException {
        for (Path missing : new Path[] {root, root.resolve("nowhere")}) {
            Energy none = Rapl.open(missing);
            assertEquals(OptionalDouble.empty(), none.joules());
            assertEquals(
                    "there are no RAPL counters in " + missing + "; virtual machines rarely have them", none.source());
        }
    }

    @Test
    void aCounterThatMayNotBeReadSaysHowToAllowIt() throws IOException {
        domain("intel-rapl:0", "package-0", 1);
        Path counter = root.resolve("intel-rapl:0/energy_uj");
        Files.setPosixFilePermissions(counter, PosixFilePermissions.fromString("---------"));
        assumeFalse(Files.isReadable(counter), "root may read everything");
        Energy none = Rapl.open(root);
        assertEquals(OptionalDouble.empty(), none.joules());
        assertEquals(
                counter + " may be read by root only; allow it until the next start with: sudo chmod a+r " + root
                        + "/intel-rapl:*/energy_uj",
                none.source());
    }

    @Test
    void aCounterThatFailsLaterIsNoZero() throws IOException {
        domain("intel-rapl:0", "package-0", 1);
        Energy rapl = Rapl.open(root);
        Files.delete(root.resolve("intel-rapl:0/energy_uj"));
        assertTrue(rapl.joules().isEmpty());
        domain("intel-rapl:0", "package-0", 1);
        assertTrue(rapl.joules().isEmpty());
    }
}
