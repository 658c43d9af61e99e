package io.jacquard.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.data.tokenizer.BpeTrainer;
import io.jacquard.data.tokenizer.BytePairTokenizer;
import io.jacquard.nn.Decoder;
import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.Pass;
import io.jacquard.nn.Weights;
import io.jacquard.optim.AdamW;
import io.jacquard.optim.AdamWSettings;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DecoderFilesTest {
    private static final int LENGTH = 24;

    @TempDir
    Path temporary;

    private static DecoderConfig config(String type, int vocabulary) {
        return type.equals("gpt2")
                ? DecoderConfig.gpt2(vocabulary, 32, 2, 3, 48)
                : DecoderConfig.llama(vocabulary, 32, 2, 4, 2, 48, 80);
    }

    /// Trains a few steps, saves, and leaves the directory under `target/transformers` with its logits: what
    /// `check_transformers.py` compares with transformers'.
    @ParameterizedTest
    @CsvSource({"gpt2,F32", "gpt2,BF16", "llama,F32", "llama,BF16"})
    void aSavedModelIsTheSameWhenLoaded(String type, DType dtype) throws IOException {
        String text = Files.readString(Path.of("src/main/java/io/jacquard/io/DecoderFiles.java"));
        BytePairTokenizer tokenizer =
                BpeTrainer.ofVocabularySize(300).specialTokens("<|endoftext|>").train(List.of(text));
        int[] ids = Arrays.copyOf(tokenizer.encode(text), 2 * LENGTH);
        Path directory = Path.of("target/transformers", type + "-" + dtype);
        Files.createDirectories(directory);
        float[] logits;
        float[] values;
        try (Session _ = Session.open("cpu")) {
            Weights weights = new Weights();
            Decoder model = Decoder.of(config(type, tokenizer.vocabularySize()), weights);
            weights.allocate(dtype, dtype, 5);
            AdamW optimizer = new AdamW(weights, AdamWSettings.DEFAULT);
            for (int i = 0; i < 3; i++) {
                try (var _ = Scope.open("step")) {
                    Tensor x = Tensor.of(Shape.of(2, LENGTH), ids);
                    model.loss(x, x, Tensor.of(Shape.of(1), 1f / ids.length), Pass.PLAIN)
                            .backward();
                    optimizer.step(Tensor.of(Shape.of(1), 1e-2f));
                }
            }
            logits = logits(model, ids);
            values = weights.values().toFloats();
            DecoderFiles.save(model, 0, directory);
        }
        tokenizer.save(directory.resolve("tokenizer.json"));
        writeLogits(directory, ids, logits, tokenizer);
        try (Session _ = Session.open("cpu")) {
            Weights weights = new Weights();
            Decoder model = DecoderFiles.load(directory, weights, dtype, dtype);
            assertArrayEquals(values, weights.values().toFloats());
            assertArrayEquals(logits, logits(model, ids));
        }
    }

    private static float[] logits(Decoder model, int[] ids) {
        try (var _ = Scope.openWithoutGrad("logits")) {
            return model.logits(Tensor.of(Shape.of(2, LENGTH), ids), Pass.PLAIN).toFloats();
        }
    }

    private static void writeLogits(Path directory, int[] ids, float[] logits, BytePairTokenizer tokenizer)
            throws IOException {
        String text = "final class Ünïcode { /* 漢字 🙂 */ }";
        int[] textIds = tokenizer.encode(text);
        long vocabulary = tokenizer.vocabularySize();
        new SafetensorsWriter()
                .add("input_ids", SafetensorsType.I32, List.of(2L, (long) LENGTH), MemorySegment.ofArray(ids))
                .add(
                        "logits",
                        SafetensorsType.F32,
                        List.of(2L, (long) LENGTH, vocabulary),
                        MemorySegment.ofArray(logits))
                .add("text_ids", SafetensorsType.I32, List.of((long) textIds.length), MemorySegment.ofArray(textIds))
                .metadata("text", text)
                .write(directory.resolve("logits.safetensors"));
    }

    @Test
    void aMissingAndASurplusTensorAreNamed() throws IOException {
        try (Session _ = Session.open("cpu")) {
            Weights small = new Weights();
            Decoder one = Decoder.of(DecoderConfig.gpt2(30, 8, 1, 1, 16), small);
            small.allocate(DType.F32, DType.F32, 1);
            DecoderFiles.save(one, -1, temporary);
            Weights more = new Weights();
            Decoder two = Decoder.of(DecoderConfig.gpt2(30, 8, 2, 1, 16), more);
            more.allocate(DType.F32, DType.F32, 1);
            assertEquals(
                    temporary + ": tensor 'transformer.h.1.ln_1.weight' is missing",
                    assertThrows(IllegalArgumentException.class, () -> DecoderFiles.loadInto(temporary, two))
                            .getMessage());
            DecoderFiles.save(two, -1, temporary);
            String message = assertThrows(IllegalArgumentException.class, () -> DecoderFiles.loadInto(temporary, one))
                    .getMessage();
            assertTrue(
                    message.startsWith(
                            temporary + ": 12 tensors are not of the model: transformer.h.1.attn.c_attn.bias, "),
                    message);
            Weights wide = new Weights();
            Decoder three = Decoder.of(DecoderConfig.gpt2(31, 8, 2, 1, 16), wide);
            wide.allocate(DType.F32, DType.F32, 1);
            assertEquals(
                    temporary + ": tensor 'transformer.wte.weight' is [30, 16], the model expects [31, 16]",
                    assertThrows(IllegalArgumentException.class, () -> DecoderFiles.loadInto(temporary, three))
                            .getMessage());
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"model_type\":\"bert\"}|model_type 'bert' is not supported; gpt2 and llama are",
                "{\"model_type\":\"gpt2\",\"activation_function\":\"relu\"}|activation_function 'relu' is not supported",
                "{\"model_type\":\"gpt2\",\"n_embd\":\"x\"}|n_embd is x; expected an integer",
                "{\"model_type\":\"llama\",\"hidden_size\":32,\"num_attention_heads\":4,\"head_dim\":16}|head_dim '16' is not supported",
                "{\"model_type\":\"llama\",\"attention_bias\":true}|attention_bias 'true' is not supported",
                "{\"model_type\":\"llama\",\"hidden_size\":32,\"num_attention_heads\":4,\"vocab_size\":8,\"max_position_embeddings\":8,"
                        + "\"num_hidden_layers\":1,\"intermediate_size\":8,\"rope_scaling\":{\"rope_type\":\"yarn\"}}"
                        + "|rope_parameters.rope_type 'yarn' is not supported",
                "{\"model_type\":\"gpt2\",\"n_embd\":30,\"n_head\":4,\"vocab_size\":8,\"n_positions\":8,\"n_layer\":1}"
                        + "|model: width 30 is not a multiple of heads 4"
            })
    void unsupportedConfigurationsAreRefusedByName(String json, String expected) throws IOException {
        Path file = Files.writeString(temporary.resolve("config.json"), json);
        assertEquals(
                file + ": " + expected,
                assertThrows(IllegalArgumentException.class, () -> DecoderConfigFile.read(file))
                        .getMessage());
    }

    @Test
    void configurationsSurviveTheFile() throws IOException {
        for (DecoderConfig c : List.of(config("gpt2", 10), config("llama", 11))) {
            Path file = Files.writeString(temporary.resolve("config.json"), DecoderConfigFile.render(c, DType.BF16, 7));
            assertEquals(c, DecoderConfigFile.read(file));
            assertEquals(7, DecoderConfigFile.endOfText(file));
        }
    }
}
