package io.jacquard.io;

import io.jacquard.nn.Decoder;
import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.Parameter;
import io.jacquard.nn.Weights;
import io.jacquard.ops.Ops;
import io.jacquard.optim.Shards;
import io.jacquard.quantize.Float8Matrix;
import io.jacquard.quantize.Int4Matrix;
import io.jacquard.quantize.RoundedWeight;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Scaled;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// Decoders in Hugging Face's directory layout: `config.json` and `model.safetensors`, readable by transformers.
public final class DecoderFiles {
    public static final String CONFIG = "config.json";

    private DecoderFiles() {}

    /// The model as it is now, in host memory: written later, by any thread, while training goes on.
    public static final class Snapshot {
        private final DecoderConfig config;
        private final int endOfText;
        private final DType dtype;
        private final List<DecoderLayout.Part> layout;
        private final Map<Parameter, MemorySegment> data = new HashMap<>();
        private final Map<Parameter, RoundedWeight> quantized;

        private Snapshot(
                Decoder model, Shards shards, int endOfText, Map<Parameter, RoundedWeight> quantized, Arena arena) {
            this.quantized = quantized;
            if (!model.weights().frozen().isEmpty()) {
                throw new IllegalArgumentException(
                        "save: the model has frozen weights, which stay in the files that they" + " were loaded from");
            }
            config = model.config();
            this.endOfText = endOfText;
            layout = DecoderLayout.of(model);
            dtype = layout.getFirst().parameter().value().dtype();
            new WholeParameters(shards, model.partition().tensor())
                    .values(arena)
                    .forEach(w -> data.put(w.parameter(), w.data()));
        }

        /// Writes `config.json` and what this rank has of the weights into an existing directory; the memory
        /// must still be there. Where there are several parts, [ModelDirectory#writeIndex] has to follow.
        public void write(Path directory, FilePart part) throws IOException {
            SafetensorsWriter writer = new SafetensorsWriter();
            for (DecoderLayout.Part p : layout) {
                MemorySegment whole = data.get(p.parameter());
                if (whole != null) {
                    add(writer, p, whole);
                }
            }
            writer.write(directory.resolve(part.name("model")));
            if (part.isFirst()) {
                RoundedWeight any = quantized.values().stream().findFirst().orElse(null);
                String text = DecoderConfigFile.render(
                        config, dtype, endOfText, any == null ? null : QuantizationConfig.of(any));
                AtomicFiles.writeText(directory.resolve(CONFIG), text);
            }
        }

        private void add(SafetensorsWriter writer, DecoderLayout.Part p, MemorySegment whole) {
            switch (quantized.get(p.parameter())) {
                case Int4Matrix q -> PackedInt4.add(writer, p.name(), q, p.from(), p.to());
                case Float8Matrix q -> Float8Weights.add(writer, p.name(), q, p.from(), p.to());
                case null -> addExact(writer, p, whole);
            }
        }

        private void addExact(SafetensorsWriter writer, DecoderLayout.Part p, MemorySegment whole) {
            long row = p.parameter().logicalShape().elements()
                    / p.parameter().logicalShape().dim(0);
            MemorySegment bytes = whole.asSlice(
                    dtype.bytes(p.from() * row), dtype.bytes(p.shape().elements()));
            if (p.transposed()) {
                writer.add(
                        p.name(), type(dtype), p.fileShape(), sink -> sink.write(transposed(bytes, p.shape(), dtype)));
            } else {
                writer.add(p.name(), type(dtype), p.fileShape(), bytes);
            }
        }
    }

    /// Copies the weights that this rank writes to host memory of `arena`. Waits for the device. All ranks that
    /// hold the model must call.
    ///
    /// @param endOfText the token that ends a text, or -1
    public static Snapshot snapshot(Decoder model, Shards shards, int endOfText, Arena arena) {
        return new Snapshot(model, shards, endOfText, Map.of(), arena);
    }

    /// Writes a model that this process holds alone into an existing directory, now.
    public static void save(Decoder model, int endOfText, Path directory) throws IOException {
        try (Arena arena = Arena.ofShared()) {
            snapshot(model, alone(model), endOfText, arena).write(directory, FilePart.ALL);
        }
    }

    /// As [#save], with these weights of linear layers in few bits: as `compressed-tensors` keeps them. The names
    /// are those of layers whose weight is `[out, in]`, also of GPT-2, whose files otherwise have them transposed;
    /// so transformers reads such files of Llama alone.
    public static void save(Decoder model, int endOfText, Map<Parameter, RoundedWeight> quantized, Path directory)
            throws IOException {
        try (Arena arena = Arena.ofShared()) {
            new Snapshot(model, alone(model), endOfText, quantized, arena).write(directory, FilePart.ALL);
        }
    }

    private static Shards alone(Decoder model) {
        return Shards.of(model.weights(), Shards.Ranks.ONE);
    }

    /// Declares the model of the directory in `weights`, allocates it in the current scope and loads its values.
    ///
    /// @throws IllegalArgumentException if the directory's tensors are not exactly the model's
    public static Decoder load(Path directory, Weights weights, DType values, DType gradients) throws IOException {
        Decoder model = Decoder.of(DecoderConfigFile.read(directory.resolve(CONFIG)), weights);
        weights.allocate(values, gradients, 0);
        loadInto(directory, model);
        return model;
    }

    /// Loads the directory's values into a model that this process holds alone.
    public static void loadInto(Path directory, Decoder model) throws IOException {
        loadInto(directory, model, alone(model));
    }

    /// Loads the directory's values into what this rank holds of a model. All its ranks must call.
    ///
    /// @throws IllegalArgumentException if the directory's tensors are not exactly the model's
    public static void loadInto(Path directory, Decoder model, Shards shards) throws IOException {
        try (ModelDirectory files = ModelDirectory.open(directory)) {
            check(directory, files, model.config());
            Map<Parameter, List<DecoderLayout.Part>> layout =
                    DecoderLayout.of(model).stream().collect(Collectors.groupingBy(DecoderLayout.Part::parameter));
            new WholeParameters(shards, model.partition().tensor())
                    .loadValues(p -> whole(directory, files, p, layout.getOrDefault(p, List.of())));
            model.weights().frozen().forEach(p -> p.freeze(frozen(directory, files, p, layout.get(p))));
        }
    }

    /// The files must hold the tensors of the whole model, and no others.
    private static void check(Path directory, ModelDirectory files, DecoderConfig config) {
        Set<String> left = files.tensors().keySet().stream()
                .filter(n -> !ignored(n, config))
                .collect(Collectors.toCollection(TreeSet::new));
        for (DecoderLayout.Part p : DecoderLayout.of(Decoder.of(config, new Weights()))) {
            if (PackedInt4.has(files, p.name())) { // read() checks them
                left.removeAll(PackedInt4.names(p.name()));
                continue;
            }
            if (Float8Weights.has(files, p.name())) { // as above
                left.removeAll(Float8Weights.names(p.name()));
                continue;
            }
            SafetensorsEntry entry = find(directory, files, p.name());
            left.remove(entry.name());
            if (!entry.shape().equals(p.fileShape())) {
                throw new IllegalArgumentException(directory + ": tensor '" + entry.name() + "' is " + entry.shape()
                        + ", the model expects " + p.fileShape());
            }
        }
        if (!left.isEmpty()) {
            throw new IllegalArgumentException(directory + ": " + left.size() + " tensors are not of the model: "
                    + left.stream().limit(5).collect(Collectors.joining(", ")));
        }
    }

    private static SafetensorsEntry find(Path directory, ModelDirectory files, String name) {
        SafetensorsEntry entry = files.find(name);
        if (entry == null && name.startsWith("transformer.")) { // the Hub's GPT-2 has no prefix
            entry = files.find(name.substring("transformer.".length()));
        }
        if (entry == null) {
            throw new IllegalArgumentException(directory + ": tensor '" + name + "' is missing");
        }
        return entry;
    }

    /// Buffers that older versions saved, and the copy of a tied head.
    private static boolean ignored(String name, DecoderConfig config) {
        return name.endsWith(".attn.bias")
                || name.endsWith(".attn.masked_bias")
                || name.endsWith("rotary_emb.inv_freq")
                || config.tied() && name.equals("lm_head.weight");
    }

    /// All of `p`, in its dtype, in the current scope.
    private static Tensor whole(Path directory, ModelDirectory files, Parameter p, List<DecoderLayout.Part> parts) {
        Tensor whole = Tensor.empty(p.logicalShape(), p.value().dtype());
        for (DecoderLayout.Part part : parts) {
            try (var _ = Scope.openWithoutGrad("load")) {
                Tensor rows = whole.rows(part.from(), part.to());
                if (PackedInt4.has(files, part.name())) {
                    Int4Matrix q = packed(directory, files, part);
                    rows.kernels().cast(rows, Tensor.of(part.shape(), q.dequantized()));
                    continue;
                }
                if (Float8Weights.has(files, part.name())) {
                    rows.kernels().dequantize(rows, float8(directory, files, part));
                    continue;
                }
                SafetensorsEntry entry = find(directory, files, part.name());
                int[] dims = entry.shape().stream().mapToInt(Math::toIntExact).toArray();
                Tensor file = Tensor.empty(Shape.of(dims), dtype(directory, entry));
                file.copyFrom(files.data(entry.name()));
                rows.kernels().cast(rows, part.transposed() ? Ops.permute(file, 1, 0) : file);
            }
        }
        return whole;
    }

    /// The four-bit value of `p`, in the current scope.
    private static Scaled frozen(
            Path directory, ModelDirectory files, Parameter p, @Nullable List<DecoderLayout.Part> parts) {
        if (parts == null || !p.shape().equals(p.logicalShape())) {
            throw new IllegalArgumentException(directory + ": " + p + " is one rank's part of " + p.logicalShape()
                    + "; frozen weights are not divided among tensor ranks");
        }
        List<Int4Matrix> matrices = new ArrayList<>();
        for (DecoderLayout.Part part : parts) {
            if (!PackedInt4.has(files, part.name())) {
                throw new IllegalArgumentException(directory + ": tensor '" + part.name()
                        + "' is not in four bits; make such a model with: jacquard quantize");
            }
            matrices.add(packed(directory, files, part));
        }
        return Int4Matrix.joined(matrices).toDevice();
    }

    private static Int4Matrix packed(Path directory, ModelDirectory files, DecoderLayout.Part part) {
        try {
            return PackedInt4.read(
                    files, part.name(), part.shape().dim(0), part.shape().dim(1));
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(directory + ": " + e.getMessage(), e);
        }
    }

    private static Scaled float8(Path directory, ModelDirectory files, DecoderLayout.Part part) {
        try {
            return Float8Weights.read(
                    files, part.name(), part.shape().dim(0), part.shape().dim(1));
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(directory + ": " + e.getMessage(), e);
        }
    }

    private static DType dtype(Path directory, SafetensorsEntry entry) {
        return switch (entry.type()) {
            case F32 -> DType.F32;
            case BF16 -> DType.BF16;
            case F16 -> DType.F16;
            default ->
                throw new IllegalArgumentException(directory + ": tensor '" + entry.name() + "' is " + entry.type()
                        + "; expected F32, BF16 or F16");
        };
    }

    /// A shape as safetensors files have it.
    public static List<Long> dims(Shape shape) {
        return Arrays.stream(shape.toArray()).mapToObj(d -> (long) d).toList();
    }

    /// The safetensors type of a dtype.
    public static SafetensorsType type(DType dtype) {
        return switch (dtype) {
            case F32 -> SafetensorsType.F32;
            case BF16 -> SafetensorsType.BF16;
            case F16 -> SafetensorsType.F16;
            case I32 -> SafetensorsType.I32;
            case U8 -> SafetensorsType.U8;
            case F8E4M3 -> SafetensorsType.F8_E4M3;
            case F8E5M2 -> SafetensorsType.F8_E5M2;
            case I8 -> SafetensorsType.I8;
            case I4 -> throw new IllegalArgumentException("I4: safetensors files keep it packed into I32");
        };
    }

    /// `[rows, columns]` as `[columns, rows]`, on the writing thread so that the device does not wait.
    private static MemorySegment transposed(MemorySegment data, Shape shape, DType dtype) {
        int rows = shape.dim(0);
        int columns = shape.dim(1);
        if (dtype == DType.F32) {
            float[] out = new float[rows * columns];
            for (int i = 0; i < rows; i++) {
                for (int j = 0; j < columns; j++) {
                    out[j * rows + i] = data.getAtIndex(ValueLayout.JAVA_FLOAT, (long) i * columns + j);
                }
            }
            return MemorySegment.ofArray(out);
        }
        short[] out = new short[rows * columns];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                out[j * rows + i] = data.getAtIndex(ValueLayout.JAVA_SHORT, (long) i * columns + j);
            }
        }
        return MemorySegment.ofArray(out);
    }
}
