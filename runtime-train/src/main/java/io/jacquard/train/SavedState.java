package io.jacquard.train;

import io.jacquard.io.DecoderFiles;
import io.jacquard.io.Json;
import io.jacquard.io.Safetensors;
import io.jacquard.io.SafetensorsEntry;
import io.jacquard.io.SafetensorsType;
import io.jacquard.io.SafetensorsWriter;
import io.jacquard.nn.Decoder;
import io.jacquard.optim.Optimizer;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/// A run's state in host memory, taken between two steps and written by another thread while training goes on.
final class SavedState {
    private static final String OPTIMIZER = "optimizer.safetensors";
    private static final String STATE = "state.json";
    private static final int FORMAT = 1;

    /// Where the run is. The rest of its state is weights and optimizer: batches and random numbers are functions
    /// of seed and step.
    ///
    /// @param joules used so far; NaN where not all of it was measured
    /// @param plan what the batches are a function of, beside the step; a run resumes with the same one only
    record Position(long step, long tokens, double seconds, double joules, Map<String, Object> plan) {}

    private record HostTensor(String name, SafetensorsType type, List<Long> shape, MemorySegment data) {}

    private final Arena arena;
    private final Position position;
    private final DecoderFiles.Snapshot model;
    private final List<HostTensor> optimizer;
    private final TrainingData data;
    private final int context;

    private SavedState(Arena arena, Position position, Decoder decoder, Optimizer optimizer, TrainingData data) {
        this.arena = arena;
        this.position = position;
        this.data = data;
        context = decoder.config().context();
        model = DecoderFiles.snapshot(decoder, data.tokenizer().endOfText().orElse(-1), arena);
        this.optimizer = optimizer.state().entrySet().stream()
                .map(e -> copy(e.getKey(), e.getValue()))
                .toList();
    }

    /// Copies everything to host memory; [#write] frees it.
    @SuppressWarnings("MustBeClosedChecker") // write() or free() closes it, on another thread
    static SavedState of(Position position, Decoder decoder, Optimizer optimizer, TrainingData data) {
        return new SavedState(Arena.ofShared(), position, decoder, optimizer, data);
    }

    private HostTensor copy(String name, Tensor t) {
        MemorySegment bytes = arena.allocate(t.bytes(), 64);
        t.copyTo(bytes);
        return new HostTensor(name, DecoderFiles.type(t.dtype()), shape(t), bytes);
    }

    private static List<Long> shape(Tensor t) {
        return Arrays.stream(t.shape().toArray()).mapToObj(d -> (long) d).toList();
    }

    /// Writes the files of a checkpoint into an empty directory and frees the memory.
    void write(Path directory) throws IOException {
        try (arena) {
            model.write(directory);
            SafetensorsWriter writer = new SafetensorsWriter();
            optimizer.forEach(t -> writer.add(t.name, t.type, t.shape, t.data));
            writer.write(directory.resolve(OPTIMIZER));
            Files.write(directory.resolve("tokenizer.json"), data.tokenizerJson());
            text(directory.resolve("tokenizer_config.json"), tokenizerConfig());
            Map<String, Object> state = new LinkedHashMap<>();
            state.put("format", (long) FORMAT);
            state.put("step", position.step);
            state.put("tokens", position.tokens);
            state.put("seconds", position.seconds);
            if (!Double.isNaN(position.joules)) {
                state.put("joules", position.joules);
            }
            state.put("plan", position.plan);
            text(directory.resolve(STATE), state);
        }
    }

    void free() {
        arena.close();
    }

    // transformers' AutoTokenizer asks for it.
    private Map<String, Object> tokenizerConfig() {
        Map<String, Object> config = new LinkedHashMap<>();
        config.put("tokenizer_class", "PreTrainedTokenizerFast");
        config.put("model_max_length", (long) context);
        data.tokenizer()
                .endOfText()
                .ifPresent(id -> config.put("eos_token", data.tokenizer().decode(id)));
        return config;
    }

    private static void text(Path file, Map<String, Object> values) throws IOException {
        Files.write(file, Json.renderLines(values).getBytes(StandardCharsets.UTF_8));
    }

    /// Reads a checkpoint's files back into model and optimizer.
    ///
    /// @throws IllegalArgumentException if the checkpoint is of another model, optimizer or plan
    static Position load(Path directory, Decoder decoder, Optimizer optimizer, Map<String, Object> plan)
            throws IOException {
        Position saved = position(directory);
        for (Map.Entry<String, Object> e : plan.entrySet()) {
            Object before = saved.plan.get(e.getKey());
            if (!e.getValue().equals(before)) {
                throw new IllegalArgumentException("resume: " + e.getKey() + " is " + e.getValue() + ", but "
                        + directory + " was made with " + before + "; it cannot change within a run");
            }
        }
        DecoderFiles.loadInto(directory, decoder);
        try (Safetensors file = Safetensors.open(directory.resolve(OPTIMIZER))) {
            Map<String, Tensor> state = optimizer.state();
            var names = new TreeSet<>(
                    file.tensors().stream().map(SafetensorsEntry::name).toList());
            if (!names.equals(new TreeSet<>(state.keySet()))) {
                throw new IllegalArgumentException(
                        file.file() + ": holds " + names + ", the optimizer needs " + new TreeSet<>(state.keySet())
                                + "; optimizer.type and training.dtype cannot change within a run");
            }
            state.forEach((name, tensor) -> load(file, name, tensor));
        }
        return saved;
    }

    private static void load(Safetensors file, String name, Tensor tensor) {
        SafetensorsEntry entry = file.find(name);
        if (entry == null
                || entry.type() != DecoderFiles.type(tensor.dtype())
                || !entry.shape().equals(shape(tensor))) {
            throw new IllegalArgumentException(file.file() + ": '" + name + "' is "
                    + (entry == null ? "absent" : entry.type() + " " + entry.shape()) + ", the optimizer's is "
                    + tensor);
        }
        tensor.copyFrom(file.data(name));
    }

    private static Position position(Path directory) throws IOException {
        Path file = directory.resolve(STATE);
        Map<String, ?> state = Json.readObject(file, 1 << 20);
        if (!(state.get("format") instanceof Long format && format == FORMAT)) {
            throw new IllegalArgumentException(file + ": format is " + state.get("format") + "; expected " + FORMAT);
        }
        if (state.get("step") instanceof Long step
                && state.get("tokens") instanceof Long tokens
                && state.get("seconds") instanceof Number seconds
                && state.get("plan") instanceof Map<?, ?> plan) {
            Map<String, Object> known = new LinkedHashMap<>();
            plan.forEach((k, v) -> known.put(String.valueOf(k), v == null ? "nothing" : v));
            double joules = state.get("joules") instanceof Number n ? n.doubleValue() : Double.NaN;
            return new Position(step, tokens, seconds.doubleValue(), joules, known);
        }
        throw new IllegalArgumentException(file + ": lacks one of step, tokens, seconds, plan");
    }
}
