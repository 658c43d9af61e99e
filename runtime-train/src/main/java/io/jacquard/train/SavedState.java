package io.jacquard.train;

import io.jacquard.io.DecoderFiles;
import io.jacquard.io.FilePart;
import io.jacquard.io.Json;
import io.jacquard.io.SafetensorsType;
import io.jacquard.io.SafetensorsWriter;
import io.jacquard.io.WholeParameters;
import io.jacquard.ops.DelayedScales;
import io.jacquard.optim.Optimizer;
import io.jacquard.parallel.Mesh;
import io.jacquard.parallel.MeshModel;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// A run's state in host memory, taken between two steps and written by another thread while training goes on.
final class SavedState {
    private static final String OPTIMIZER = "optimizer";
    private static final String SCALES = "scales";
    private static final String STATE = "state.json";
    private static final int FORMAT = 2;

    /// Where the run is. The rest of its state is weights and optimizer: batches and random numbers are functions
    /// of seed and step.
    ///
    /// @param joules used so far; NaN where not all of it was measured
    /// @param plan what the batches are a function of, beside the step; a run resumes with the same one only
    record Position(long step, long tokens, double seconds, double joules, Map<String, Object> plan) {}

    private record HostTensor(String name, SafetensorsType type, List<Long> shape, MemorySegment data) {}

    private final Arena arena;
    private final Position position;
    private final FilePart part;
    private final DecoderFiles.Snapshot model;
    private final List<HostTensor> optimizer = new ArrayList<>();
    private final List<HostTensor> scales = new ArrayList<>();
    private final TrainingData data;
    private final int context;

    private SavedState(Arena arena, Position position, MeshModel model, Optimizer optimizer, TrainingData data) {
        this.arena = arena;
        this.position = position;
        this.data = data;
        part = part(model.mesh());
        context = model.decoder().config().context();
        int end = data.tokenizer().endOfText().orElse(-1);
        this.model = DecoderFiles.snapshot(model.decoder(), model.shards(), end, arena);
        WholeParameters whole = whole(model);
        optimizer.state().forEach((name, tensor) -> {
            if (tensor.size() > 1) {
                whole.state(tensor, arena)
                        .forEach(w -> add(name + "." + w.parameter().name(), w));
            } else if (part.isFirst()) {
                MemorySegment bytes = arena.allocate(tensor.bytes(), 64);
                tensor.copyTo(bytes);
                this.optimizer.add(new HostTensor(
                        name, DecoderFiles.type(tensor.dtype()), DecoderFiles.dims(tensor.shape()), bytes));
            }
        });
        addScales(model);
    }

    /// All replicas have the same scales: the first one saves them.
    private void addScales(MeshModel model) {
        DelayedScales delayed = model.decoder().weights().delayedScales();
        if (delayed != null && model.mesh().data().rank() == 0) {
            delayed.saved().forEach((layer, numbers) -> {
                MemorySegment copy = arena.allocateFrom(ValueLayout.JAVA_FLOAT, numbers);
                scales.add(new HostTensor(layer, SafetensorsType.F32, List.of((long) numbers.length), copy));
            });
        }
    }

    private void add(String name, WholeParameters.Whole w) {
        optimizer.add(new HostTensor(
                name,
                DecoderFiles.type(w.dtype()),
                DecoderFiles.dims(w.parameter().logicalShape()),
                w.data()));
    }

    private static WholeParameters whole(MeshModel model) {
        return new WholeParameters(model.shards(), model.decoder().partition().tensor());
    }

    /// Which of the files of a checkpoint this rank writes: one for each replica of each stage. Ranks that divide
    /// the layers with another write none.
    static FilePart part(Mesh mesh) {
        int replicas = mesh.data().size();
        int files = replicas * mesh.pipeline().size();
        return new FilePart(mesh.pipeline().rank() * replicas + mesh.data().rank() + 1, files);
    }

    /// Copies to host memory what this rank writes; [#write] frees it. All ranks must call.
    @SuppressWarnings("MustBeClosedChecker") // write() or free() closes it, on another thread
    static SavedState of(Position position, MeshModel model, Optimizer optimizer, TrainingData data) {
        return new SavedState(Arena.ofShared(), position, model, optimizer, data);
    }

    /// Writes this rank's files of a checkpoint into an empty directory and frees the memory.
    void write(Path directory) throws IOException {
        try (arena) {
            model.write(directory, part);
            write(directory.resolve(part.name(OPTIMIZER)), optimizer);
            if (!scales.isEmpty()) {
                write(directory.resolve(part.name(SCALES)), scales);
            }
            if (!part.isFirst()) {
                return;
            }
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

    private static void write(Path file, List<HostTensor> tensors) throws IOException {
        SafetensorsWriter writer = new SafetensorsWriter();
        tensors.forEach(t -> writer.add(t.name, t.type, t.shape, t.data));
        writer.write(file);
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

    /// Reads a checkpoint's files back into what this rank has of model and optimizer. All ranks must call; they
    /// need not be those that wrote it.
    ///
    /// @throws IllegalArgumentException if the checkpoint is of another model, optimizer or plan
    static Position load(Path directory, MeshModel model, Optimizer optimizer, Map<String, Object> plan)
            throws IOException {
        Position saved = position(directory);
        for (Map.Entry<String, Object> e : plan.entrySet()) {
            Object before = saved.plan.get(e.getKey());
            if (!e.getValue().equals(before)) {
                throw new IllegalArgumentException("resume: " + e.getKey() + " is " + e.getValue() + ", but "
                        + directory + " was made with " + before + "; it cannot change within a run");
            }
        }
        DecoderFiles.loadInto(directory, model.decoder(), model.shards());
        try (OptimizerFiles files = OptimizerFiles.open(directory, OPTIMIZER)) {
            Map<String, Tensor> state = optimizer.state();
            files.check(state.keySet());
            WholeParameters whole = whole(model);
            state.forEach((name, tensor) -> {
                if (tensor.size() > 1) {
                    whole.loadState(tensor, p -> files.tensor(name + "." + p.name(), tensor.dtype(), p.logicalShape()));
                } else {
                    tensor.copyFrom(files.bytes(name, tensor.dtype(), tensor.shape()));
                }
            });
        }
        loadScales(directory, model);
        return saved;
    }

    /// Where the state is of a run without them, the first step finds them anew.
    private static void loadScales(Path directory, MeshModel model) throws IOException {
        DelayedScales delayed = model.decoder().weights().delayedScales();
        if (delayed == null) {
            return;
        }
        try (OptimizerFiles files = OptimizerFiles.open(directory, SCALES)) {
            if (!files.isEmpty()) {
                delayed.load(layer -> {
                    if (!files.has(layer)) {
                        throw new IllegalArgumentException(directory + ": has no scales of '" + layer
                                + "', which was not rounded before; within a run of fp8-delayed"
                                + " training.precisionEnds can grow, not shrink");
                    }
                    return files.bytes(layer, DType.F32, Shape.of(DelayedScales.SAVED))
                            .toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
                });
            }
        }
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
