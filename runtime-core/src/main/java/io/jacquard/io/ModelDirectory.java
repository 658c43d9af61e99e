package io.jacquard.io;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// The weights of a model directory: `model.safetensors`, or `model.safetensors.index.json` with its shards.
///
/// Every tensor belongs to exactly one file. The index and the files must agree completely: a tensor that only one of
/// them knows is an error, since the caller would otherwise train on with a part of a model.
public final class ModelDirectory implements AutoCloseable {
    static final String SINGLE = "model.safetensors";
    static final String INDEX = "model.safetensors.index.json";

    private final SequencedMap<String, Safetensors> files = new LinkedHashMap<>();
    private final SequencedMap<String, Safetensors> owners = new LinkedHashMap<>();

    private ModelDirectory() {}

    /// Opens a directory, or a single `.safetensors` file, and checks all its headers.
    ///
    /// @throws IllegalArgumentException if there are no weights, a file is malformed, or index and files differ
    public static ModelDirectory open(Path path) throws IOException {
        ModelDirectory model = new ModelDirectory();
        try {
            Path single = Files.isDirectory(path) ? path.resolve(SINGLE) : path;
            if (Files.exists(single)) {
                model.openFile(single);
            } else if (Files.exists(path.resolve(INDEX))) {
                model.openShards(path);
            } else {
                throw new IllegalArgumentException(path + ": no weights; expected " + SINGLE + " or " + INDEX);
            }
            return model;
        } catch (IOException | RuntimeException | Error e) {
            model.close();
            throw e;
        }
    }

    /// Writes the index of the parts that lie in a directory.
    ///
    /// @throws IllegalArgumentException if a tensor is in two of them
    public static void writeIndex(Path directory) throws IOException {
        List<Path> parts;
        try (Stream<Path> files = Files.list(directory)) {
            parts = files.filter(f -> FilePart.isOneOf("model", f)).sorted().toList();
        }
        long bytes = 0;
        Map<String, Object> weightMap = new TreeMap<>();
        for (Path part : parts) {
            try (Safetensors file = Safetensors.open(part)) {
                for (SafetensorsEntry tensor : file.tensors()) {
                    Object other =
                            weightMap.put(tensor.name(), part.getFileName().toString());
                    if (other != null) {
                        throw new IllegalArgumentException(directory + ": tensor " + Json.quote(tensor.name())
                                + " is in " + other + " and in " + part.getFileName());
                    }
                    bytes += tensor.bytes();
                }
            }
        }
        writeIndex(directory, weightMap, bytes);
    }

    static void writeIndex(Path directory, Map<String, Object> weightMap, long bytes) throws IOException {
        Map<String, Object> index = new LinkedHashMap<>();
        index.put("metadata", Map.of("total_size", bytes));
        index.put("weight_map", weightMap);
        AtomicFiles.writeText(directory.resolve(INDEX), Json.renderLines(index));
    }

    /// All tensors by name, file after file; offsets are those within each file.
    public SequencedMap<String, SafetensorsEntry> tensors() {
        SequencedMap<String, SafetensorsEntry> all = new LinkedHashMap<>();
        files.values().forEach(file -> file.tensors().forEach(tensor -> all.put(tensor.name(), tensor)));
        return all;
    }

    /// The tensor of this name, or null.
    public @Nullable SafetensorsEntry find(String name) {
        Safetensors owner = owners.get(name);
        return owner == null ? null : owner.find(name);
    }

    /// The tensor's bytes, as [Safetensors#data(String)] gives them.
    ///
    /// @throws IllegalArgumentException if there is no such tensor
    public MemorySegment data(String name) {
        Safetensors owner = owners.get(name);
        if (owner == null) {
            throw new IllegalArgumentException("no tensor " + Json.quote(name) + " in " + files.keySet());
        }
        return owner.data(name);
    }

    @Override
    public void close() {
        files.values().forEach(Safetensors::close);
    }

    private Safetensors openFile(Path path) throws IOException {
        Safetensors file = Safetensors.open(path);
        files.put(path.getFileName().toString(), file);
        file.tensors().forEach(tensor -> owners.put(tensor.name(), file));
        return file;
    }

    private void openShards(Path directory) throws IOException {
        Path index = directory.resolve(INDEX);
        Object weightMap = Json.readObject(index, SafetensorsHeader.MAX_BYTES).get("weight_map");
        if (!(weightMap instanceof Map<?, ?> map)) {
            throw new IllegalArgumentException(index + ": no object 'weight_map'");
        }
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            String tensor = String.valueOf(entry.getKey());
            if (!(entry.getValue() instanceof String shard)) {
                throw new IllegalArgumentException(
                        index + ": the file of tensor " + Json.quote(tensor) + " is not a string");
            }
            Safetensors file = files.containsKey(shard) ? files.get(shard) : openShard(index, tensor, shard);
            if (file.find(tensor) == null) {
                throw new IllegalArgumentException(
                        index + ": tensor " + Json.quote(tensor) + " is not in " + Json.quote(shard));
            }
        }
        checkAllListed(index, map);
    }

    private Safetensors openShard(Path index, String tensor, String shard) throws IOException {
        // a plain name: an index from elsewhere must not reach files outside the directory
        if (shard.isEmpty()
                || shard.startsWith(".")
                || !shard.chars().allMatch(c -> c > ' ' && c != '/' && c != '\\' && c != ':' && c != 0x7f)) {
            throw new IllegalArgumentException(index + ": tensor " + Json.quote(tensor) + " is in " + Json.quote(shard)
                    + "; expected the plain name of a file beside it");
        }
        Path path = index.resolveSibling(shard);
        if (!Files.isRegularFile(path)) {
            throw new IllegalArgumentException(
                    index + ": tensor " + Json.quote(tensor) + " is in " + Json.quote(shard) + ", which is missing");
        }
        return openFile(path);
    }

    private void checkAllListed(Path index, Map<?, ?> weightMap) {
        files.forEach((name, file) -> file.tensors().forEach(tensor -> {
            if (!name.equals(weightMap.get(tensor.name()))) {
                throw new IllegalArgumentException(
                        index + ": does not list tensor " + Json.quote(tensor.name()) + " of " + Json.quote(name));
            }
        }));
    }
}
