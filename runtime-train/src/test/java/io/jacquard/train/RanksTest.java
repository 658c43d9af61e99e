package io.jacquard.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.group.LocalGroup;
import io.jacquard.group.Watch;
import io.jacquard.io.FilePart;
import io.jacquard.launch.Launch;
import io.jacquard.ranks.Ranks;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Whole runs of several ranks, as threads: the losses of one rank, states that any other ranks can go on from.
class RanksTest {
    @TempDir
    static Path directory;

    private static List<Double> alone = List.of();

    @BeforeAll
    static void prepare() throws IOException {
        TinyRun.prepare(directory);
        TrainConfig config = config("alone", "");
        new Trainer(config, TrainListener.SILENT).start();
        alone = losses(config);
    }

    /// Adam divides a gradient by its own size: with an epsilon of 1e-8, gradients that are nothing but rounding
    /// move weights as far as others do, and losses by 1e-5. With this one they differ by 1.3e-6 at most.
    ///
    /// @param overrides `key=value` pairs, separated by blanks
    private static TrainConfig config(String run, String overrides) {
        ConfigReader reader = TinyRun.config(directory, run).yaml("ranks", """
                model: {layers: 4, heads: 3, width: 48}
                training: {microBatch: 2, accumulation: 4}
                optimizer: {epsilon: 1e-6}
                """);
        Stream.of(overrides.split(" ")).filter(o -> !o.isEmpty()).forEach(reader::set);
        return reader.read();
    }

    private static List<Double> losses(TrainConfig config) throws IOException {
        List<Double> losses = new ArrayList<>();
        for (Map<String, @Nullable Object> line : Metrics.read(config.run().resolve("metrics.jsonl"))) {
            for (String key : List.of("loss", "validation_loss")) {
                if (line.get(key) instanceof Number n) {
                    losses.add(n.doubleValue());
                }
            }
        }
        return losses;
    }

    /// Ranks have scales of the parts that they hold, so that losses are not those of one rank to the bit.
    @ParameterizedTest
    @CsvSource({
        "2, training.precision=fp8-delayed",
        "2, training.precision=fp8-current parallel.tensor=2",
        "2, training.precision=fp8-delayed parallel.pipeline=2 parallel.schedule=zero-bubble",
        "2, training.precision=int4-qat parallel.zero=3",
    })
    void lowPrecisionTrainsAndGoesOn(int ranks, String overrides) throws IOException {
        TrainConfig config =
                config("low " + ranks + overrides, overrides + " training.gapSteps=4 model.heads=4 model.width=64");
        TrainConfig reference = config("low-exact " + ranks + overrides, "model.heads=4 model.width=64");
        new Trainer(reference, TrainListener.SILENT).start();
        assertTrue(run(ranks, config, TrainListener.SILENT, false).complete());
        List<Double> exact = losses(reference);
        List<Double> losses = losses(config);
        assertEquals(exact.size(), losses.size());
        assertEquals(exact.getLast(), losses.getLast(), 0.1 * exact.getLast());
        TrainConfig more = config(
                "low " + ranks + overrides,
                overrides + " training.gapSteps=4 model.heads=4 model.width=64 training.steps=14");
        assertEquals(14, run(ranks, more, TrainListener.SILENT, true).step());
    }

    /// Though several micro-batches are under way at once and weights' gradients come late, or a forward without
    /// gradients comes first.
    @ParameterizedTest
    @CsvSource({"2, parallel.pipeline=2 parallel.schedule=zero-bubble", "1, training.recompute=true"})
    void theFirstStepOfDelayedScalesIsThatOfCurrentOnes(int ranks, String overrides) throws IOException {
        List<Map<String, byte[]>> models = new ArrayList<>();
        for (String precision : List.of("fp8-current", "fp8-delayed")) {
            TrainConfig config = config(
                    precision + " first " + ranks,
                    overrides + " training.steps=1 optimizer.warmup=0 training.gapSteps=0 training.precision="
                            + precision);
            models.add(model(run(ranks, config, TrainListener.SILENT, false).checkpoint()));
        }
        assertEquals(models.get(0).keySet(), models.get(1).keySet());
        models.get(0)
                .forEach((file, bytes) -> assertArrayEquals(bytes, models.get(1).get(file), file));
    }

    private static Map<String, byte[]> model(@Nullable Path checkpoint) throws IOException {
        Map<String, byte[]> files = new TreeMap<>();
        try (Stream<Path> all = Files.list(Objects.requireNonNull(checkpoint))) {
            for (Path file : all.filter(f -> FilePart.isOneOf("model", f)).toList()) {
                files.put(file.getFileName().toString(), Files.readAllBytes(file));
            }
        }
        return files;
    }

    private static Trainer.Outcome run(int ranks, TrainConfig config, TrainListener listener, boolean resume) {
        AtomicReference<Trainer.@Nullable Outcome> outcome = new AtomicReference<>();
        Trainer trainer = new Trainer(config, listener);
        Ranks.run(Launch.SOLO, "cpu", ranks, Watch.DEFAULT, world -> {
            try {
                Trainer.Outcome o = resume ? trainer.resume(world) : trainer.start(world);
                if (world.rank() == 0) {
                    outcome.set(o);
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
        return Objects.requireNonNull(outcome.get());
    }

    @ParameterizedTest
    @CsvSource({
        "2, ''",
        "4, ''",
        "2, parallel.tensor=2",
        "2, parallel.pipeline=2",
        "4, parallel.pipeline=2 parallel.chunks=2 training.recompute=true",
        "2, parallel.pipeline=2 parallel.schedule=zero-bubble",
        "8, parallel.tensor=2 parallel.pipeline=2 training.graph=true",
        "2, parallel.zero=2 training.graph=true",
        "2, parallel.zero=3",
        "4, parallel.zero=3 training.recompute=true parallel.tensor=2",
        "2, training.microBatch=8 training.accumulation=1",
    })
    void theLossesAreThoseOfOneRank(int ranks, String overrides) throws IOException {
        TrainConfig config = config("run " + ranks + overrides, overrides);
        Trainer.Outcome outcome = run(ranks, config, TrainListener.SILENT, false);
        assertEquals(12, outcome.step());
        assertTrue(outcome.complete());
        List<Double> losses = losses(config);
        assertEquals(alone.size(), losses.size());
        if (!overrides.contains("microBatch=8")) { // other micro-batches have other dropout masks
            for (int i = 0; i < losses.size(); i++) {
                assertEquals(alone.get(i), losses.get(i), 5e-6 * alone.get(i), "line " + i);
            }
        }
        try (LoadedModel m = LoadedModel.open(config.run(), "cpu", DType.F32, _ -> {})) {
            assertEquals(
                    alone.getLast(),
                    new Evaluator(m.decoder(), m.tokenizer(), 3)
                            .score(TrainingData.open(config).validation(), 5)
                            .loss(),
                    overrides.contains("microBatch=8") ? 1 : 1e-5);
        }
    }

    /// Validations and samples see the weights of all steps so far, whatever of them is on which rank.
    @ParameterizedTest
    @CsvSource({"2, parallel.zero=3", "4, parallel.zero=3 training.graph=true", "4, parallel.zero=2 evaluation.batch=1"
    })
    void whatComesBetweenStepsIsThatOfOneRank(int ranks, String overrides) throws IOException {
        String each = " evaluation.every=1 samples.every=1 samples.tokens=8 checkpoints.every=0";
        TrainConfig one = config("between, alone, " + ranks + overrides, each);
        new Trainer(one, TrainListener.SILENT).start();
        TrainConfig many = config("between, " + ranks + overrides, overrides + each);
        run(ranks, many, TrainListener.SILENT, false);
        List<Double> expected = losses(one);
        List<Double> found = losses(many);
        assertEquals(2 * 12, expected.size());
        assertEquals(expected.size(), found.size());
        for (int i = 0; i < expected.size(); i++) {
            assertEquals(expected.get(i), found.get(i), 1e-5 * expected.get(i), "line " + i);
        }
        assertEquals(samples(one), samples(many));
    }

    private static List<Object> samples(TrainConfig config) throws IOException {
        return Metrics.read(config.run().resolve("metrics.jsonl")).stream()
                .map(line -> line.get("sample"))
                .filter(Objects::nonNull)
                .toList();
    }

    private static Trainer.Outcome stopAt(long step, int ranks, TrainConfig config) {
        AtomicReference<@Nullable Runnable> stop = new AtomicReference<>();
        Trainer[] trainer = new Trainer[1];
        TrainListener listener = new TrainListener() {
            @Override
            public void stepped(Metrics.Step s) {
                if (s.step() == step) {
                    Objects.requireNonNull(stop.get()).run();
                }
            }
        };
        trainer[0] = new Trainer(config, listener);
        stop.set(trainer[0]::requestStop);
        AtomicReference<Trainer.@Nullable Outcome> outcome = new AtomicReference<>();
        Ranks.run(Launch.SOLO, "cpu", ranks, Watch.DEFAULT, world -> {
            try {
                Trainer.Outcome o = trainer[0].start(world);
                if (world.rank() == 0) {
                    outcome.set(o);
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
        return Objects.requireNonNull(outcome.get());
    }

    /// A state knows nothing of the ranks that wrote it.
    @ParameterizedTest
    @CsvSource({
        "4, parallel.tensor=2, 2, parallel.pipeline=2",
        "2, parallel.pipeline=2, 4, parallel.zero=2",
        "4, parallel.zero=3 training.recompute=true, 1, ''",
        "1, '', 8, parallel.tensor=2 parallel.pipeline=2",
    })
    void otherRanksGoOn(int before, String first, int after, String then) throws IOException {
        String name = "from " + before + first + " to " + after + then;
        Trainer.Outcome stopped = stopAt(5, before, config(name, first));
        assertTrue(stopped.step() < 12, "stopped at " + stopped.step());
        assertTrue(!stopped.complete());
        TrainConfig config = config(name, then);
        assertEquals(12, run(after, config, TrainListener.SILENT, true).step());
        List<Double> losses = losses(config);
        assertEquals(alone.size(), losses.size());
        for (int i = 0; i < losses.size(); i++) {
            assertEquals(alone.get(i), losses.get(i), 5e-6 * alone.get(i), "line " + i);
        }
    }

    /// Stopped and continued by the same ranks, and by ranks that add in the same order, a run ends with the same
    /// bits.
    @ParameterizedTest
    @CsvSource({
        "training.dtype=bf16, model-00001-of-00002 model-00002-of-00002 optimizer-00001-of-00002",
        "training.precision=fp8-delayed, model-00001-of-00002 optimizer-00002-of-00002 scales-00001-of-00002",
    })
    void resumedToTheSameBits(String type, String files) throws IOException {
        String setting = type + " parallel.zero=2 training.recompute=true optimizer.clip=0 training.gapSteps=0";
        Path whole = run(2, config("bits " + type, setting), TrainListener.SILENT, false)
                .checkpoint();
        stopAt(5, 2, config("bits again " + type, setting));
        Path again = run(2, config("bits again " + type, setting), TrainListener.SILENT, true)
                .checkpoint();
        stopAt(5, 2, config("bits otherwise " + type, setting));
        Path otherwise = run(
                        2,
                        config("bits otherwise " + type, setting.replace("zero=2", "zero=3")),
                        TrainListener.SILENT,
                        true)
                .checkpoint();
        for (String file : Stream.of(files.split(" ")).toList()) {
            byte[] expected = Files.readAllBytes(whole.resolve(file + ".safetensors"));
            assertArrayEquals(expected, Files.readAllBytes(again.resolve(file + ".safetensors")), file);
            assertArrayEquals(expected, Files.readAllBytes(otherwise.resolve(file + ".safetensors")), file);
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "3 | parallel.tensor=2 | mesh: dp(1) * tp(2) * pp(1) = 2 does not equal the world size 3",
                "4 | parallel.tensor=4 | tensor parallel: 3 key/value heads cannot be divided among 4 ranks; expected at most 3 ranks",
                "3 | '' | data parallel: 3 replicas divide neither the 4 micro-batches of a step nor the 2 sequences of each; expected a multiple of 3 for one of them",
                "2 | parallel.pipeline=2 samples.every=1 | samples.every 1: no rank of a pipeline of 2 stages has the whole model that writes samples; set samples.every to 0 and use 'jacquard generate' on a saved state",
                "2 | parallel.pipeline=2 parallel.chunks=2 parallel.schedule=gpipe | parallel.chunks 2 belong to the schedule 1f1b, not to gpipe; set parallel.schedule to 1f1b or parallel.chunks to 1",
                "2 | parallel.pipeline=2 parallel.chunks=3 | pipeline: 4 blocks cannot be divided into 2 stages * 3 chunks = 6 parts; expected at most 4",
                "2 | parallel.chunks=2 | pipeline: 2 chunks of one stage have nothing to take turns with; expected 1, or more stages",
                "3 | parallel.tensor=3 model.context=31 | tensor parallel: 2 sequences of 31 tokens are 62 rows, which 3 ranks do not divide; expected a multiple, by another micro-batch or context",
            })
    void wrongMeshesAreRefused(int ranks, String overrides, String message) {
        TrainConfig config = config("refused", overrides);
        assertEquals(
                message,
                assertThrows(IllegalArgumentException.class, () -> run(ranks, config, TrainListener.SILENT, false))
                        .getMessage());
    }

    /// What ranks hold is what the formula of ZeRO says, within 3 %.
    @ParameterizedTest
    @CsvSource({
        "1, 1, f32",
        "2, 1, f32",
        "2, 2, f32",
        "2, 3, f32",
        "4, 2, f32",
        "4, 3, f32",
        "1, 1, bf16",
        "2, 1, bf16",
        "4, 3, bf16"
    })
    void memoryIsThatOfTheFormula(int ranks, int zero, String state) throws IOException {
        TrainConfig config = config(
                "memory " + ranks + zero + state,
                "training.dtype=bf16 training.gradientDtype=bf16 training.recompute=true training.steps=1"
                        + " optimizer.warmup=0 optimizer.stateDtype=" + state
                        + " model.width=192 parallel.zero=" + zero);
        double ofState = state.equals("bf16") ? 4 : 12;
        LocalGroup.run(ranks, world -> {
            try (TrainingData data = TrainingData.open(config);
                    Session _ = Session.open("cpu");
                    RunDirectory run = RunDirectory.ofAnotherRank(config.run());
                    TrainLoop loop = new TrainLoop(config, data, run, TrainListener.SILENT, world)) {
                MemoryUse m = loop.memory();
                assertEquals(m.formula(), (double) (m.measured() - m.buffers()), 0.03 * m.formula(), m.toString());
                double whole = 6 - 2 * zero;
                double perParameter = whole + (4 - whole + ofState) / ranks;
                assertTrue(m.terms().contains(" p"), m.terms());
                assertEquals(perParameter * m.parameters(), m.formula(), 1, m.terms());
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
    }
}
