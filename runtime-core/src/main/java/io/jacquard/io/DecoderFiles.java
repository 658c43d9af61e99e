package io.jacquard.io;

import io.jacquard.nn.Decoder;
import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.Weights;
import io.jacquard.ops.Ops;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/// Decoders in Hugging Face's directory layout: `config.json` and `model.safetensors`, readable by transformers.
public final class DecoderFiles {
    public static final String CONFIG = "config.json";

    private DecoderFiles() {}

    /// The model as it is now, in host memory: written later, by any thread, while training goes on.
    public static final class Snapshot {
        private final DecoderConfig config;
        private final DType dtype;
        private final int endOfText;
        private final List<DecoderLayout.Part> parts;
        private final List<MemorySegment> data;

        private Snapshot(Decoder model, int endOfText, Arena arena) {
            Weights weights = model.weights();
            Tensor values = weights.values();
            config = model.config();
            dtype = values.dtype();
            this.endOfText = endOfText;
            parts = DecoderLayout.of(model);
            MemorySegment flat = arena.allocate(values.bytes(), 64);
            values.copyTo(flat);
            data = new ArrayList<>();
            for (DecoderLayout.Part p : parts) {
                long row =
                        p.parameter().shape().elements() / p.parameter().shape().dim(0);
                long start = weights.offset(p.parameter()) + p.from() * row;
                data.add(flat.asSlice(dtype.bytes(start), dtype.bytes(p.shape().elements())));
            }
        }

        /// Writes `config.json` and `model.safetensors` into an existing directory; the memory must still be
        /// there.
        public void write(Path directory) throws IOException {
            SafetensorsWriter writer = new SafetensorsWriter();
            for (int i = 0; i < parts.size(); i++) {
                DecoderLayout.Part p = parts.get(i);
                MemorySegment bytes = data.get(i);
                SafetensorsType type = type(dtype);
                if (p.transposed()) {
                    writer.add(p.name(), type, p.fileShape(), sink -> sink.write(transposed(bytes, p.shape(), dtype)));
                } else {
                    writer.add(p.name(), type, p.fileShape(), bytes);
                }
            }
            writer.write(directory.resolve(ModelDirectory.SINGLE));
            AtomicFiles.writeText(directory.resolve(CONFIG), DecoderConfigFile.render(config, dtype, endOfText));
        }
    }

    /// Copies the weights to host memory of `arena`. Waits for the device.
    ///
    /// @param endOfText the token that ends a text, or -1
    public static Snapshot snapshot(Decoder model, int endOfText, Arena arena) {
        return new Snapshot(model, endOfText, arena);
    }

    /// Writes the model into an existing directory, now.
    public static void save(Decoder model, int endOfText, Path directory) throws IOException {
        try (Arena arena = Arena.ofShared()) {
            snapshot(model, endOfText, arena).write(directory);
        }
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

    /// Loads the directory's values into a model that has memory.
    public static void loadInto(Path directory, Decoder model) throws IOException {
        try (ModelDirectory files = ModelDirectory.open(directory)) {
            Set<String> left = files.tensors().keySet().stream()
                    .filter(n -> !ignored(n, model.config()))
                    .collect(Collectors.toCollection(TreeSet::new));
            for (DecoderLayout.Part p : DecoderLayout.of(model)) {
                String name = p.name();
                SafetensorsEntry entry = files.find(name);
                if (entry == null && name.startsWith("transformer.")) { // the Hub's GPT-2 has no prefix
                    name = name.substring("transformer.".length());
                    entry = files.find(name);
                }
                if (entry == null) {
                    throw new IllegalArgumentException(directory + ": tensor '" + p.name() + "' is missing");
                }
                left.remove(name);
                load(directory, entry, files.data(name), p);
            }
            if (!left.isEmpty()) {
                throw new IllegalArgumentException(directory + ": " + left.size() + " tensors are not of the model: "
                        + left.stream().limit(5).collect(Collectors.joining(", ")));
            }
        }
    }

    /// Buffers that older versions saved, and the copy of a tied head.
    private static boolean ignored(String name, DecoderConfig config) {
        return name.endsWith(".attn.bias")
                || name.endsWith(".attn.masked_bias")
                || name.endsWith("rotary_emb.inv_freq")
                || config.tied() && name.equals("lm_head.weight");
    }

    private static void load(Path directory, SafetensorsEntry entry, MemorySegment bytes, DecoderLayout.Part p) {
        if (!entry.shape().equals(p.fileShape())) {
            throw new IllegalArgumentException(directory + ": tensor '" + entry.name() + "' is " + entry.shape()
                    + ", the model expects " + p.fileShape());
        }
        try (var _ = Scope.openWithoutGrad("load")) {
            int[] dims = entry.shape().stream().mapToInt(Math::toIntExact).toArray();
            Tensor file = Tensor.empty(Shape.of(dims), dtype(directory, entry));
            file.copyFrom(bytes);
            Tensor rows = p.parameter().value().detach().rows(p.from(), p.to());
            rows.kernels().cast(rows, p.transposed() ? Ops.permute(file, 1, 0) : file);
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

    /// The safetensors type of a dtype.
    public static SafetensorsType type(DType dtype) {
        return switch (dtype) {
            case F32 -> SafetensorsType.F32;
            case BF16 -> SafetensorsType.BF16;
            case F16 -> SafetensorsType.F16;
            case I32 -> SafetensorsType.I32;
            case U8 -> SafetensorsType.U8;
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
