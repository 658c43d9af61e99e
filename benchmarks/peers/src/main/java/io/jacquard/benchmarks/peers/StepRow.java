package io.jacquard.benchmarks.peers;

import io.jacquard.tensor.DType;
import java.util.Locale;
import java.util.SplittableRandom;
import tools.jackson.databind.JsonNode;

/// Whole training steps of a GPT-2 or Llama decoder.
record StepRow(
        DType dtype,
        boolean gpt2,
        int layers,
        int heads,
        int kvHeads,
        int width,
        int hidden,
        int vocabulary,
        boolean tied,
        int time,
        int batch,
        double learningRate) {
    /// Tokens that occur: few, so that the loss falls within some steps, the same way on all sides.
    private static final int DISTINCT = 64;

    /// Batches that take turns.
    static final int BATCHES = 16;

    static StepRow of(JsonNode spec) {
        return new StepRow(
                DType.valueOf(spec.get("dtype").asString().toUpperCase(Locale.ROOT)),
                spec.get("type").asString().equals("gpt2"),
                spec.get("layers").asInt(),
                spec.get("heads").asInt(),
                spec.get("kv_heads").asInt(),
                spec.get("width").asInt(),
                spec.get("hidden").asInt(),
                spec.get("vocabulary").asInt(),
                spec.get("tied").asBoolean(),
                spec.get("time").asInt(),
                spec.get("batch").asInt(),
                spec.get("learning_rate").asDouble());
    }

    int headDim() {
        return width / heads;
    }

    int tokens() {
        return batch * time;
    }

    /// Inputs and targets of each batch: `[BATCHES][2][batch * time]`.
    int[][][] data() {
        SplittableRandom random = new SplittableRandom(1);
        int distinct = Math.min(DISTINCT, vocabulary / 2);
        int[][][] data = new int[BATCHES][2][tokens()];
        for (int[][] pair : data) {
            for (int b = 0; b < batch; b++) {
                int[] ids = random.ints(time + 1, 0, distinct)
                        .map(id -> id * (vocabulary / distinct))
                        .toArray();
                System.arraycopy(ids, 0, pair[0], b * time, time);
                System.arraycopy(ids, 1, pair[1], b * time, time);
            }
        }
        return data;
    }
}
