package io.jacquard.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.nn.Decoder;
import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.Parameter;
import io.jacquard.nn.Pass;
import io.jacquard.nn.Precision;
import io.jacquard.nn.Weights;
import io.jacquard.ops.Recipe;
import io.jacquard.quantize.Float8Matrix;
import io.jacquard.quantize.Int4Groups;
import io.jacquard.quantize.Int4Matrix;
import io.jacquard.quantize.Int4Rounding;
import io.jacquard.quantize.ModelQuantizer;
import io.jacquard.quantize.RoundedWeight;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Models with weights in few bits: made, written, read.
final class QuantizedFilesTest {
    @TempDir
    Path directory;

    private Session session;

    @BeforeEach
    void open() {
        session = Session.open("cpu");
    }

    @AfterEach
    void close() {
        session.close();
    }

    private static Decoder model(String type) {
        DecoderConfig config = type.equals("gpt2")
                ? DecoderConfig.gpt2(50, 16, 2, 2, 32)
                : DecoderConfig.llama(50, 16, 2, 4, 2, 32, 96);
        Weights weights = new Weights();
        Decoder model = Decoder.of(config, weights);
        weights.allocate(DType.F32, DType.F32, 5);
        return model;
    }

    private static List<Tensor> tokens() {
        int[] ids = new int[2 * 16];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = i * 7 % 50;
        }
        return List.of(Tensor.of(Shape.of(2, 16), ids));
    }

    @ParameterizedTest
    @CsvSource({"gpt2,NEAREST,true", "gpt2,COMPENSATED,false", "llama,COMPENSATED,true", "llama,LEARNED,false"})
    void aRoundedModelIsTheSameWhenLoaded(String type, Int4Rounding rounding, boolean symmetric) throws IOException {
        Decoder model = model(type);
        float[] head = model.head().value().detach().toFloats();
        List<ModelQuantizer.Layer> layers = new ArrayList<>();
        Map<Parameter, RoundedWeight> rounded =
                new ModelQuantizer(model, new Int4Groups(rounding, 16, symmetric), layers::add).run(tokens());
        assertEquals(2 * 4, rounded.size());
        assertEquals(8, layers.size());
        assertArrayEquals(head, model.head().value().detach().toFloats());
        for (ModelQuantizer.Layer l : layers) {
            assertTrue(l.weightError() > 0.01 && l.weightError() < 0.3, l.toString());
            assertTrue(l.outputError() > 0 && l.outputError() < 0.3, l.toString());
        }
        rounded.forEach(
                (p, q) -> assertArrayEquals(q.dequantized(), p.value().detach().toFloats(), p.name()));
        DecoderFiles.save(model, 0, rounded, directory);
        Weights weights = new Weights();
        Decoder loaded = DecoderFiles.load(directory, weights, DType.F32, DType.F32);
        for (Parameter p : model.weights().parameters()) {
            assertArrayEquals(
                    p.value().detach().toFloats(),
                    loaded.weights().parameter(p.name()).value().detach().toFloats(),
                    p.name());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"gpt2", "llama"})
    void eightBitsAreTheSameWhenLoaded(String type) throws IOException {
        Decoder model = model(type);
        List<ModelQuantizer.Layer> layers = new ArrayList<>();
        Map<Parameter, RoundedWeight> rounded =
                new ModelQuantizer(model, Float8Matrix.ROUNDING, layers::add).run(List.of());
        for (ModelQuantizer.Layer l : layers) { // three bits of mantissa: 2^-4 at most, some 2^-5.2 at the mean
            assertTrue(l.weightError() > 0.02 && l.weightError() < 0.035, l.toString());
        }
        DecoderFiles.save(model, 0, rounded, directory);
        Decoder loaded = DecoderFiles.load(directory, new Weights(), DType.F32, DType.F32);
        for (Parameter p : model.weights().parameters()) {
            assertArrayEquals(
                    p.value().detach().toFloats(),
                    loaded.weights().parameter(p.name()).value().detach().toFloats(),
                    p.name());
        }
    }

    /// By hand: 2, -1.5, 448 and NaN as E4M3; scales of compressed-tensors and of DeepSeek-V3.
    @ParameterizedTest
    @CsvSource({"w_scale,F32,1", "w_scale,BF16,2", "w_scale_inv,F32,4"})
    void scalesOfOtherMakersMultiply(String name, SafetensorsType type, int count) throws IOException {
        byte[] values = new byte[2 * 256];
        values[0] = 0x40;
        values[1] = (byte) 0xbc;
        values[255] = 0x7e;
        values[256] = 0x7f;
        float[] scales = {0.5f, 0.25f, 8, 4};
        short[] halves = {0x3f00, 0x3e80};
        SafetensorsWriter writer = new SafetensorsWriter();
        writer.add("w", SafetensorsType.F8_E4M3, List.of(2L, 256L), MemorySegment.ofArray(values));
        List<Long> shape = name.endsWith("inv") ? List.of(1L, 2L) : List.of((long) count, 1L);
        MemorySegment data =
                type == SafetensorsType.F32 ? MemorySegment.ofArray(scales) : MemorySegment.ofArray(halves);
        int n = name.endsWith("inv") ? 2 : count;
        writer.add(name, type, shape, data.asSlice(0, n * type.bits() / 8));
        writer.write(directory.resolve("model.safetensors"));
        try (ModelDirectory files = ModelDirectory.open(directory)) {
            assertTrue(Float8Weights.has(files, "w"));
            Tensor out = Tensor.empty(Shape.of(2, 256), DType.F32);
            out.kernels().dequantize(out, Float8Weights.read(files, "w", 2, 256));
            float[] got = out.toFloats();
            assertEquals(1f, got[0]);
            assertEquals(-0.75f, got[1]);
            assertEquals(448 * (name.endsWith("inv") ? 0.25f : 0.5f), got[255]);
            assertEquals(Float.NaN, got[256]);
            assertEquals(0f, got[257]);
        }
    }

    @Test
    void eightBitsWithoutTheirScalesAreRefused() throws IOException {
        SafetensorsWriter writer = new SafetensorsWriter();
        writer.add("w", SafetensorsType.F8_E4M3, List.of(2L, 2L), MemorySegment.ofArray(new byte[4]));
        writer.add("v", SafetensorsType.F8_E4M3, List.of(2L, 2L), MemorySegment.ofArray(new byte[4]));
        writer.add("v_scale", SafetensorsType.F32, List.of(3L, 1L), MemorySegment.ofArray(new float[3]));
        writer.add("u", SafetensorsType.F8_E4M3, List.of(256L, 2L), MemorySegment.ofArray(new byte[512]));
        writer.add("u_scale_inv", SafetensorsType.F32, List.of(1L, 2L), MemorySegment.ofArray(new float[2]));
        writer.write(directory.resolve("model.safetensors"));
        try (ModelDirectory files = ModelDirectory.open(directory)) {
            assertEquals(
                    "tensor 'u_scale_inv' is F32 [1, 2]; expected [2, 1] for 'u' [256, 2]", refused(files, "u", 256));
            assertEquals(
                    "tensor 'w' is F8_E4M3 and has no scale; expected 'w_scale' or 'w_scale_inv'",
                    refused(files, "w", 2));
            assertEquals("tensor 'w' is F8_E4M3 [2, 2]; expected F8_E4M3 [3, 2]", refused(files, "w", 3));
            assertEquals("tensor 'v_scale' is F32 [3, 1]; expected [2, 1] for 'v' [2, 2]", refused(files, "v", 2));
        }
    }

    private static String refused(ModelDirectory files, String name, int rows) {
        return assertThrows(IllegalArgumentException.class, () -> Float8Weights.read(files, name, rows, 2))
                .getMessage();
    }

    @ParameterizedTest
    @CsvSource({"gpt2,true", "llama,false"})
    void fourBitsCanStayAsTheyAre(String type, boolean symmetric) throws IOException {
        Decoder model = model(type);
        DecoderFiles.save(model, 0, rounded(model, symmetric), directory);
        Tensor tokens = tokens().getFirst();
        Tensor expected = model.logits(tokens, Pass.PLAIN);
        long before = session.usedBytes();
        Weights weights = new Weights(1, new Precision(Recipe.INT4_GROUP, 0));
        Decoder frozen = DecoderFiles.load(directory, weights, DType.F32, DType.F32);
        long bytes = session.usedBytes() - before;
        assertTrue(bytes < 0.6 * model.weights().values().bytes() * 2, bytes + " bytes"); // values and gradients
        Tensor got = frozen.logits(tokens, Pass.PLAIN);
        float[] e = expected.detach().toFloats();
        float[] g = got.detach().toFloats();
        for (int i = 0; i < e.length; i++) {
            assertEquals(e[i], g[i], 1e-5, "logit " + i);
        }
        Tensor scale = Tensor.of(Shape.of(1), 1f / 32);
        frozen.loss(tokens, tokens, scale, Pass.PLAIN).backward();
        model.loss(tokens, tokens, scale, Pass.PLAIN).backward();
        for (Parameter p : weights.parameters()) { // those of the embedding and the norms come through frozen layers
            float[] exact = model.weights().parameter(p.name()).gradient().toFloats();
            float[] through = p.gradient().toFloats();
            for (int i = 0; i < exact.length; i++) {
                assertEquals(exact[i], through[i], 1e-6, p.name() + ": gradient " + i);
            }
        }
        assertEquals(
                "save: the model has frozen weights, which stay in the files that they were loaded from",
                assertThrows(IllegalArgumentException.class, () -> DecoderFiles.save(frozen, 0, directory))
                        .getMessage());
    }

    private static Map<Parameter, RoundedWeight> rounded(Decoder model, boolean symmetric) {
        var settings = new Int4Groups(Int4Rounding.NEAREST, 16, symmetric);
        return new ModelQuantizer(model, settings, _ -> {}).run(List.of());
    }

    @Test
    void onlyFourBitsCanBeFrozen() throws IOException {
        Decoder model = model("gpt2");
        DecoderFiles.save(model, 0, directory);
        assertEquals(
                directory + ": tensor 'transformer.h.0.attn.c_attn.weight' is not in four bits; make such a model with:"
                        + " jacquard quantize",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> DecoderFiles.load(
                                        directory,
                                        new Weights(1, new Precision(Recipe.INT4_GROUP, 0)),
                                        DType.F32,
                                        DType.F32))
                        .getMessage());
        Weights weights = new Weights(1, new Precision(Recipe.INT4_GROUP, 0));
        Decoder empty = Decoder.of(model.config(), weights);
        weights.allocate(DType.F32, DType.F32, 1);
        assertEquals(
                "parameter 'transformer.h.0.attn.c_attn.weight' has no frozen value; load one, it cannot be initialised",
                assertThrows(IllegalStateException.class, () -> empty.logits(tokens().getFirst(), Pass.PLAIN))
                        .getMessage());
    }

    /// By hand, from the description of the format.
    @Test
    void bitsAreThoseOfCompressedTensors() throws IOException {
        byte[] values = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
        Int4Matrix q = new Int4Matrix(1, 16, 8, values, new float[] {0.5f, 2}, new byte[] {-8, 7});
        SafetensorsWriter writer = new SafetensorsWriter();
        PackedInt4.add(writer, "w", q, 0, 1);
        writer.write(directory.resolve("model.safetensors"));
        try (ModelDirectory files = ModelDirectory.open(directory)) {
            assertEquals(List.of(1L, 2L), files.find("w_packed").shape());
            assertEquals(SafetensorsType.I32, files.find("w_packed").type());
            assertEquals(0x76543210, files.data("w_packed").get(ValueLayout.JAVA_INT_UNALIGNED, 0));
            assertEquals(0xfedcba98, files.data("w_packed").get(ValueLayout.JAVA_INT_UNALIGNED, 4));
            assertEquals(List.of(1L, 2L), files.find("w_zero_point").shape());
            assertEquals(0, files.data("w_zero_point").get(ValueLayout.JAVA_INT_UNALIGNED, 0));
            assertEquals(15, files.data("w_zero_point").get(ValueLayout.JAVA_INT_UNALIGNED, 4));
            assertEquals(2f, files.data("w_scale").get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4));
            assertEquals(16, files.data("w_shape").get(ValueLayout.JAVA_LONG_UNALIGNED, 8));
            Int4Matrix read = PackedInt4.read(files, "w", 1, 16);
            assertArrayEquals(values, read.values());
            assertArrayEquals(q.zeros(), read.zeros());
            assertEquals(8, read.group());
            assertEquals(
                    "tensor 'w_packed' is I32 [1, 2]; expected I32 [2, 2]",
                    assertThrows(IllegalArgumentException.class, () -> PackedInt4.read(files, "w", 2, 16))
                            .getMessage());
        }
    }

    @Test
    void otherQuantizationsAreRefused() throws IOException {
        Decoder model = model("llama");
        DecoderFiles.save(model, 0, directory);
        Path config = directory.resolve("config.json");
        String text = Files.readString(config);
        assertEquals(
                config + ": quantization_config is of awq, null, null bits; expected compressed-tensors:"
                        + " pack-quantized, 4 bits, or float-quantized, 8 bits; or fp8",
                refused(config, text, "{\"quant_method\": \"awq\", \"bits\": 4}"));
        assertEquals(
                config + ": quantization_config has weight_block_size [64, 256]; expected [128, 128]",
                refused(config, text, "{\"quant_method\": \"fp8\", \"weight_block_size\": [64, 256]}"));
    }

    private String refused(Path config, String text, String quantization) throws IOException {
        Files.writeString(config, text.replaceFirst("\\{", "{\"quantization_config\": " + quantization + ","));
        return assertThrows(
                        IllegalArgumentException.class,
                        () -> DecoderFiles.load(directory, new Weights(), DType.F32, DType.F32))
                .getMessage();
    }

    @Test
    void whatCannotBeRoundedChangesNothing() {
        Decoder model = model("gpt2");
        float[] before = model.weights().values().toFloats();
        assertEquals(
                "quantize: gptq needs calibration data; expected some tokens, or rtn",
                message(model, Int4Rounding.COMPENSATED, 16, List.of()));
        assertEquals(
                "quantize: 'transformer.h.0.attn.c_attn.weight' [96, 32] has rows of 32, which groups of 48 do not"
                        + " divide; expected a divisor, such as 32",
                message(model, Int4Rounding.NEAREST, 48, List.of()));
        assertArrayEquals(before, model.weights().values().toFloats());
    }

    private static String message(Decoder model, Int4Rounding rounding, int group, List<Tensor> tokens) {
        var quantizer = new ModelQuantizer(model, new Int4Groups(rounding, group, true), _ -> {});
        return assertThrows(IllegalArgumentException.class, () -> quantizer.run(tokens))
                .getMessage();
    }
}
