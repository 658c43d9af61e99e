package io.jacquard.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Joules in metrics, saved state and outcome, on counters of processors that the test turns itself.
class EnergyTest {
    private static final String PROPERTY = "jacquard.cpu.powercap";

    @TempDir
    static Path directory = Path.of("");

    @TempDir
    Path powercap = Path.of("");

    private final List<String> notes = new ArrayList<>();
    private long microjoules = 900_000_000;

    @BeforeAll
    static void prepare() throws IOException {
        TinyRun.prepare(directory);
    }

    @BeforeEach
    void counters() throws IOException {
        Path domain = Files.createDirectories(powercap.resolve("intel-rapl:0"));
        Files.writeString(domain.resolve("name"), "package-0\n");
        Files.writeString(domain.resolve("max_energy_range_uj"), "1000000000\n");
        turn(0);
        System.setProperty(PROPERTY, powercap.toString());
    }

    @AfterEach
    void restore() {
        System.clearProperty(PROPERTY);
    }

    private void turn(long by) {
        microjoules = (microjoules + by) % 1_000_000_000;
        try {
            Files.writeString(powercap.resolve("intel-rapl:0/energy_uj"), microjoules + "\n");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// A run whose device uses 16 J in each step but the first: the test turns the counter when a step is heard.
    private Trainer trainer(TrainConfig config, long stopAt) {
        Trainer[] trainer = new Trainer[1];
        trainer[0] = new Trainer(config, new TrainListener() {
            @Override
            public void stepped(Metrics.Step s) {
                turn(16_000_000);
                if (s.step() == stopAt) {
                    trainer[0].requestStop();
                }
            }

            @Override
            public void noted(String line) {
                notes.add(line);
            }
        });
        return trainer[0];
    }

    private static TrainConfig config(String run) {
        return TinyRun.config(directory, run)
                .set("device=late")
                .set("energy.gridIntensity=450")
                .set("checkpoints.every=0")
                .read();
    }

    private static List<Map<String, @Nullable Object>> steps(TrainConfig config) throws IOException {
        return Metrics.read(config.run().resolve("metrics.jsonl")).stream()
                .filter(r -> r.containsKey("loss"))
                .toList();
    }

    @Test
    void eachStepHasItsJoulesAndTheRunTheirSum() throws IOException {
        TrainConfig c = config("measured");
        Trainer.Outcome outcome = trainer(c, -1).start();
        List<Map<String, @Nullable Object>> steps = steps(c);
        assertEquals(12, steps.size());
        for (Map<String, @Nullable Object> s : steps) {
            long step = (long) Objects.requireNonNull(s.get("step"));
            assertEquals(step == 1 ? 0.0 : 16.0, s.get("joules"), "step " + step);
            assertEquals(step == 1 ? 0.0 : 0.0625, s.get("joules_per_token"), "256 tokens in a step");
        }
        Trainer.Energy energy = Objects.requireNonNull(outcome.energy());
        assertEquals(12 * 16, energy.joules(), 1e-9);
        assertEquals(16 / 256.0, energy.joulesPerToken(), 1e-9);
        assertEquals(12 * 16 * 450 / 3.6e6, energy.carbonDioxide(), 1e-9);
        assertFalse(notes.stream().anyMatch(n -> n.contains("energy")), notes.toString());
    }

    @Test
    void aResumedRunGoesOnCounting() throws IOException {
        TrainConfig c = config("parts");
        trainer(c, 5).start();
        turn(500_000_000); // whoever used that
        Trainer.Outcome outcome = trainer(c, -1).resume();
        assertEquals(12 * 16, Objects.requireNonNull(outcome.energy()).joules(), 1e-9);
    }

    @Test
    void withoutCountersThereAreNoFieldsAndOneLine() throws IOException {
        System.setProperty(PROPERTY, powercap.resolve("nowhere").toString());
        TrainConfig c = config("unmeasured");
        Trainer.Outcome outcome = trainer(c, 5).start();
        assertNull(outcome.energy());
        assertTrue(steps(c).stream().noneMatch(s -> s.containsKey("joules") || s.containsKey("joules_per_token")));
        String expected = "energy is not measured: there are no RAPL counters in " + powercap.resolve("nowhere")
                + "; virtual machines rarely have them";
        assertEquals(
                List.of(expected),
                notes.stream().filter(n -> n.contains("energy")).toList());

        System.setProperty(PROPERTY, powercap.toString());
        notes.clear();
        outcome = trainer(c, -1).resume();
        assertNull(outcome.energy(), "a part of the run was not measured");
        assertEquals(16.0, steps(c).getLast().get("joules"));
        assertTrue(notes.contains("energy was not measured before step 6: no total at the end"), notes.toString());
    }

    @Test
    void aRunOfAnOlderConfigurationGoesOn() throws IOException {
        TrainConfig c = config("older");
        trainer(c, 5).start();
        Path file = c.run().resolve("config.yaml");
        String older = Files.readString(file).replaceAll("energy:\n.*\n", "");
        assertFalse(older.contains("energy"), older);
        Files.writeString(file, older);
        Path state = c.run().resolve("checkpoints/step-6/state.json");
        assertTrue(Files.readString(state).contains("\"joules\""));
        TrainConfig read = Trainer.configOf(c.run()).read();
        assertEquals(445, read.energy().gridIntensity());
        Trainer.Outcome outcome = new Trainer(read, TrainListener.SILENT).resume();
        assertEquals(12, outcome.step());
        assertNotNull(outcome.energy());
    }
}
