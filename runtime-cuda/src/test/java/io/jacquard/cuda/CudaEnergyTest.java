package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.jacquard.cuda.driver.Emulator;
import io.jacquard.cuda.driver.NvmlStandIn;
import io.jacquard.data.Corpus;
import io.jacquard.io.Json;
import io.jacquard.train.ConfigReader;
import io.jacquard.train.DataPreparation;
import io.jacquard.train.Metrics;
import io.jacquard.train.TrainConfig;
import io.jacquard.train.TrainListener;
import io.jacquard.train.Trainer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A whole run on the emulated device with the stand-in for NVIDIA's management library.
final class CudaEnergyTest {
    @TempDir
    Path directory = Path.of("");

    private final List<String> notes = new ArrayList<>();
    private long millijoules = 1_000_000;

    @AfterEach
    void restore() {
        NvmlStandIn.reset();
    }

    private Trainer.Outcome train(String run) throws IOException {
        Emulator.configure("arch", "90");
        Path file = directory.resolve("text.txt");
        Files.writeString(file, "the cats ate fish and the fish ate cats\n".repeat(200));
        DataPreparation.run(
                new DataPreparation.Request(
                        List.of(file),
                        directory.resolve("data"),
                        Corpus.Options.DEFAULT,
                        null,
                        0,
                        0.1,
                        1 << 20,
                        false,
                        1),
                (_, _) -> {});
        TrainConfig config = new ConfigReader()
                .yaml("tiny", """
                model: {layers: 1, heads: 2, width: 32, context: 16}
                training: {steps: 4, microBatch: 2}
                optimizer: {warmup: 2}
                evaluation: {sequences: 2}
                energy: {gridIntensity: 100}
                """)
                .set("data.directory", directory.resolve("data"), "test")
                .set("run", directory.resolve(run), "test")
                .set("device", "cuda:0", "test")
                .read();
        return new Trainer(config, new TrainListener() {
                    @Override
                    public void stepped(Metrics.Step s) {
                        if (millijoules > 0) {
                            millijoules += 8_000;
                            NvmlStandIn.set("energy", millijoules);
                        }
                    }

                    @Override
                    public void noted(String line) {
                        notes.add(line);
                    }
                })
                .start();
    }

    private List<Object> joules(String run) throws IOException {
        List<Object> joules = new ArrayList<>();
        for (String line : Files.readAllLines(directory.resolve(run).resolve("metrics.jsonl"))) {
            var row = Json.parseObject("metrics", line);
            if (row.containsKey("loss")) {
                joules.add(String.valueOf(row.get("joules")));
            }
        }
        return joules;
    }

    @Test
    void stepsAndRunHaveTheJoulesOfTheGpu() throws IOException {
        NvmlStandIn.set("energy", millijoules);
        Trainer.Outcome outcome = train("measured");
        assertEquals(List.of("0.0", "8.0", "8.0", "8.0"), joules("measured"));
        Trainer.Energy energy = Objects.requireNonNull(outcome.energy());
        assertEquals(32, energy.joules(), 1e-9);
        assertEquals(32 / (4 * 32.0), energy.joulesPerToken(), 1e-9);
        assertEquals(32 * 100 / 3.6e6, energy.carbonDioxide(), 1e-9);
    }

    @Test
    void aDeviceWithoutCounterSaysSoOnceAndLeavesTheFieldsOut() throws IOException {
        NvmlStandIn.set("energy", -1);
        millijoules = -1;
        Trainer.Outcome outcome = train("unmeasured");
        assertEquals(null, outcome.energy());
        assertEquals(List.of("null", "null", "null", "null"), joules("unmeasured"));
        assertEquals(
                List.of("energy is not measured: NVML has no energy counter for Stand-in device"),
                notes.stream().filter(n -> n.contains("energy")).toList());
    }
}
