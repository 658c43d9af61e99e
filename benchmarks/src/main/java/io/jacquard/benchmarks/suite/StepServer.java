package io.jacquard.benchmarks.suite;

import io.jacquard.data.TokenFileWriter;
import io.jacquard.tensor.Session;
import io.jacquard.train.ConfigReader;
import io.jacquard.train.Metrics;
import io.jacquard.train.TrainConfig;
import io.jacquard.train.TrainListener;
import io.jacquard.train.Trainer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;
import tools.jackson.databind.JsonNode;

/// Whole steps on our side: a run of the product's [Trainer] that stands still between two turns. `run` answers the
/// wall time of a step over a turn, the first step of which does not count: it was begun before the turn.
public final class StepServer implements TrainListener {
    /// Tokens that occur: few, so that the loss falls within some steps, the same way on both sides.
    static final int DISTINCT = 64;

    private static final int STEPS = 1_000_000;

    private final Lines lines;
    private int left;
    private int counted;
    private long began;
    private double lastLoss;

    private static final class Quit extends RuntimeException {
        private static final long serialVersionUID = 1;

        Quit() {
            super("no more commands", null, false, false);
        }
    }

    private StepServer(Lines lines) {
        this.lines = lines;
    }

    /// `ROW DEVICE DIRECTORY`: the row's JSON, `cpu` or `cuda:0`, an empty directory for data and run.
    public static void main(String[] args) throws IOException {
        Lines lines = new Lines();
        try {
            JsonNode row = Lines.JSON.readTree(args[0]);
            Path directory = Path.of(args[2]);
            writeData(row, directory);
            new Trainer(config(row, args[1], directory), new StepServer(lines)).start();
        } catch (Quit _) {
            return;
        } catch (RuntimeException | LinkageError | IOException e) {
            lines.fail(e);
        }
    }

    /// Random tokens out of [#DISTINCT], and a tokenizer that has the model's vocabulary.
    static void writeData(JsonNode row, Path directory) throws IOException {
        int vocabulary = row.get("vocabulary").asInt();
        int distinct = Math.min(DISTINCT, vocabulary / 2);
        SplittableRandom random = new SplittableRandom(1);
        int tokens = Math.max(
                1 << 16, 8 * row.get("batch").asInt() * (row.get("time").asInt() + 1));
        TokenFileWriter.write(directory.resolve("train.bin"), vocabulary, out -> {
            for (int i = 0; i < tokens; i++) {
                out.append(random.nextInt(distinct) * (vocabulary / distinct));
            }
        });
        // two characters, the second with the highest id
        Files.writeString(directory.resolve("tokenizer.json"), """
                {"version": "1.0", "added_tokens": [], "pre_tokenizer": null, "decoder": {"type": "Fuse"},
                 "model": {"type": "BPE", "vocab": {"a": 0, "b": %d}, "merges": []}}
                """.formatted(vocabulary - 1));
    }

    private static TrainConfig config(JsonNode row, String device, Path directory) {
        ConfigReader reader = new ConfigReader();
        Map<String, Object> keys = new LinkedHashMap<>();
        keys.put("device", device);
        keys.put("run", directory.resolve("run").toString());
        keys.put("data.directory", directory.toString());
        keys.put("model.type", row.get("type").asString());
        keys.put("model.layers", row.get("layers").asInt());
        keys.put("model.heads", row.get("heads").asInt());
        keys.put("model.kvHeads", row.get("kv_heads").asInt());
        keys.put("model.width", row.get("width").asInt());
        keys.put("model.hidden", row.get("hidden").asInt());
        keys.put("model.context", row.get("time").asInt());
        keys.put("model.tied", row.get("tied").asBoolean());
        keys.put("training.steps", STEPS);
        keys.put("training.microBatch", row.get("batch").asInt());
        keys.put("training.dtype", row.get("dtype").asString());
        keys.put("training.gradientDtype", row.get("dtype").asString());
        keys.put("training.graph", true);
        keys.put("optimizer.learningRate", row.get("learning_rate").asString());
        keys.put("optimizer.schedule", "constant");
        keys.put("optimizer.warmup", 0);
        keys.put("optimizer.beta2", "0.95");
        keys.put("evaluation.every", 0);
        keys.put("checkpoints.every", 0);
        keys.forEach((key, value) -> reader.set(key + "=" + value));
        return reader.read();
    }

    @Override
    public void started(TrainConfig config, long parameters, long trainTokens, long step) {
        Map<String, Object> ready = new LinkedHashMap<>();
        ready.put("ready", true);
        ready.put("parameters", parameters);
        lines.answer(ready);
        await();
    }

    @Override
    public void stepped(Metrics.Step step) {
        lastLoss = step.loss();
        if (left == counted) {
            began = System.nanoTime();
        }
        if (left-- > 0) {
            return;
        }
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("micros", (System.nanoTime() - began) / 1e3 / counted);
        answer.put("loss", lastLoss);
        answer.put("step", step.step());
        answer.put("peak_bytes", Session.current().peakBytes());
        answer.put("peak_rss_bytes", residentBytes());
        lines.answer(answer);
        await();
    }

    /// Stands still until the next turn.
    private void await() {
        try {
            JsonNode command = lines.next();
            if (command == null) {
                throw new Quit();
            }
            counted = command.get("steps").asInt();
            left = counted;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static long residentBytes() {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
                if (line.startsWith("VmHWM:")) {
                    return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
                }
            }
            return 0;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
