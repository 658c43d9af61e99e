package io.jacquard.benchmarks.suite;

import io.jacquard.data.TokenFileWriter;
import io.jacquard.train.ConfigReader;
import io.jacquard.train.TrainConfig;
import io.jacquard.train.TrainListener;
import io.jacquard.train.Trainer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;
import tools.jackson.databind.JsonNode;

/// A run of the product's [Trainer] on a row's model, with random tokens, that takes step after step until its listener
/// throws.
public final class StepRun {
    /// Tokens that occur: few, so that the loss falls within some steps, the same way on both sides.
    static final int DISTINCT = 64;

    private static final int STEPS = 1_000_000;

    private StepRun() {}

    /// @param directory an empty one, for data and run
    public static void start(JsonNode row, String device, Path directory, TrainListener listener) throws IOException {
        writeData(row, directory);
        new Trainer(config(row, device, directory), listener).start();
    }

    /// Random tokens out of [#DISTINCT], and a tokenizer that has the model's vocabulary.
    private static void writeData(JsonNode row, Path directory) throws IOException {
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
}
