package io.jacquard.io;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// Writes a safetensors file, or a directory of several, from data that are fetched tensor by tensor while writing.
///
/// Files are byte for byte a function of the tensors and metadata: sorted by type (descending), then by name. The
/// header is padded with spaces so that the data begin at a multiple of 4096, which every reader allows and which lets
/// pages be mapped or read directly.
public final class SafetensorsWriter {
    private static final int DATA_ALIGNMENT = 4096;
    private static final Pattern SHARD = Pattern.compile("model-\\d{5}-of-\\d{5}\\.safetensors");
    private static final Comparator<Pending> ORDER = Comparator.comparing(Pending::type)
            .reversed()
            .thenComparing(tensor -> tensor.name().getBytes(StandardCharsets.UTF_8), Arrays::compareUnsigned);

    private final Map<String, Pending> tensors = new LinkedHashMap<>();
    private final Map<String, String> metadata = new TreeMap<>(Map.of("format", "pt"));

    /// Hands over one tensor's bytes when the writer reaches it.
    @FunctionalInterface
    public interface Source {
        /// Must hand exactly the tensor's bytes to `out`, in as many pieces as is convenient.
        void writeTo(Sink out) throws IOException;
    }

    /// Takes little-endian bytes; a piece may be reused after the call.
    @FunctionalInterface
    public interface Sink {
        /// Appends all of `bytes`.
        void write(MemorySegment bytes) throws IOException;
    }

    private record Pending(String name, SafetensorsType type, List<Long> shape, long bytes, Source source) {}

    /// Adds a tensor whose bytes come when the file is written.
    ///
    /// @throws IllegalArgumentException if the name is taken or reserved, or the shape has no size in bytes
    public SafetensorsWriter add(String name, SafetensorsType type, List<Long> shape, Source source) {
        if (name.equals(SafetensorsHeader.METADATA)) {
            throw new IllegalArgumentException("safetensors: the name '__metadata__' is reserved");
        }
        Json.checkedString("safetensors", name);
        Pending tensor = new Pending(name, type, List.copyOf(shape), type.bytes(shape), source);
        if (tensors.putIfAbsent(name, tensor) != null) {
            throw new IllegalArgumentException("safetensors: tensor " + Json.quote(name) + " is there twice");
        }
        return this;
    }

    /// Adds a tensor from memory that stays unchanged until the file is written.
    ///
    /// @throws IllegalArgumentException also if `data` does not have the size that type and shape ask for
    public SafetensorsWriter add(String name, SafetensorsType type, List<Long> shape, MemorySegment data) {
        long expected = type.bytes(shape);
        if (data.byteSize() != expected) {
            throw new IllegalArgumentException("safetensors: tensor " + Json.quote(name) + " has " + data.byteSize()
                    + " bytes; expected " + expected + " for " + type + " " + shape);
        }
        return add(name, type, shape, out -> out.write(data));
    }

    /// Adds or replaces one metadata string. `format` is `pt` unless replaced: other loaders refuse files without
    /// it.
    public SafetensorsWriter metadata(String key, String value) {
        metadata.put(Json.checkedString("safetensors", key), Json.checkedString("safetensors", value));
        return this;
    }

    /// Writes all tensors to one file, atomically: a failure leaves an older file as it was.
    public void write(Path file) throws IOException {
        write(file, tensors.values());
    }

    /// Writes `model.safetensors`, or, beyond `maxShardBytes` of data, `model-0000i-of-0000N.safetensors` and
    /// `model.safetensors.index.json`, into an existing directory. Tensors go to shards in the order they were
    /// added; one larger than the limit has a shard of its own. The index is written last; an older model's files
    /// that are not replaced are deleted.
    public void writeModel(Path directory, long maxShardBytes) throws IOException {
        List<List<Pending>> shards = shards(maxShardBytes);
        if (shards.size() == 1) {
            write(directory.resolve(ModelDirectory.SINGLE));
            deleteOthers(directory, Set.of(ModelDirectory.SINGLE));
            return;
        }
        // first, so that a crash leaves no index over a mixture of old and new shards
        Files.deleteIfExists(directory.resolve(ModelDirectory.INDEX));
        long totalBytes = 0;
        Map<String, Object> weightMap = new TreeMap<>();
        for (int i = 0; i < shards.size(); i++) {
            String name = String.format("model-%05d-of-%05d.safetensors", i + 1, shards.size());
            write(directory.resolve(name), shards.get(i));
            for (Pending tensor : shards.get(i)) {
                weightMap.put(tensor.name(), name);
                totalBytes += tensor.bytes();
            }
        }
        ModelDirectory.writeIndex(directory, weightMap, totalBytes);
        deleteOthers(directory, new HashSet<>(weightMap.values()));
    }

    private static void deleteOthers(Path directory, Set<?> current) throws IOException {
        if (!current.contains(ModelDirectory.SINGLE)) {
            Files.deleteIfExists(directory.resolve(ModelDirectory.SINGLE));
        } else {
            Files.deleteIfExists(directory.resolve(ModelDirectory.INDEX));
        }
        List<Path> old;
        try (Stream<Path> files = Files.list(directory)) {
            old = files.filter(
                            file -> SHARD.matcher(file.getFileName().toString()).matches()
                                    && !current.contains(file.getFileName().toString()))
                    .toList();
        }
        for (Path file : old) {
            Files.delete(file);
        }
    }

    private List<List<Pending>> shards(long maxShardBytes) {
        List<List<Pending>> shards = new ArrayList<>();
        List<Pending> current = new ArrayList<>();
        long bytes = 0;
        for (Pending tensor : tensors.values()) {
            if (!current.isEmpty() && tensor.bytes() > maxShardBytes - bytes) {
                shards.add(current);
                current = new ArrayList<>();
                bytes = 0;
            }
            current.add(tensor);
            bytes += tensor.bytes();
        }
        shards.add(current);
        return shards;
    }

    private void write(Path file, Iterable<Pending> unsorted) throws IOException {
        List<Pending> sorted = new ArrayList<>();
        unsorted.forEach(sorted::add);
        sorted.sort(ORDER);
        ByteBuffer header = header(sorted);
        AtomicFiles.write(
                file,
                out -> {
                    AtomicFiles.writeFully(out, header);
                    for (Pending tensor : sorted) {
                        writeTensor(out, tensor);
                    }
                },
                written -> Safetensors.open(written).close());
    }

    private static void writeTensor(FileChannel out, Pending tensor) throws IOException {
        long end = out.position() + tensor.bytes();
        tensor.source().writeTo(piece -> {
            if (piece.byteSize() > end - out.position()) {
                throw new IllegalArgumentException("safetensors: tensor " + Json.quote(tensor.name())
                        + ": its source gave more than the " + tensor.bytes() + " bytes of " + tensor.type() + " "
                        + tensor.shape());
            }
            AtomicFiles.writeFully(out, piece);
        });
        if (out.position() != end) {
            throw new IllegalArgumentException("safetensors: tensor " + Json.quote(tensor.name()) + ": its source gave "
                    + (tensor.bytes() - end + out.position()) + " bytes; expected " + tensor.bytes() + " for "
                    + tensor.type() + " " + tensor.shape());
        }
    }

    private ByteBuffer header(List<Pending> sorted) {
        Map<String, Object> header = new LinkedHashMap<>();
        header.put(SafetensorsHeader.METADATA, metadata);
        long begin = 0;
        for (Pending tensor : sorted) {
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("dtype", tensor.type().name());
            entry.put("shape", tensor.shape());
            entry.put("data_offsets", List.of(begin, begin + tensor.bytes()));
            header.put(tensor.name(), entry);
            begin += tensor.bytes();
        }
        byte[] json = Json.render(header).getBytes(StandardCharsets.UTF_8);
        int unpadded = SafetensorsHeader.LENGTH_BYTES + json.length;
        int padded = Math.ceilDiv(unpadded, DATA_ALIGNMENT) * DATA_ALIGNMENT;
        if (padded - SafetensorsHeader.LENGTH_BYTES > SafetensorsHeader.MAX_BYTES) {
            throw new IllegalArgumentException("safetensors: " + sorted.size() + " tensors need a header of "
                    + json.length + " bytes; expected at most " + SafetensorsHeader.MAX_BYTES);
        }
        ByteBuffer out = ByteBuffer.allocate(padded).order(ByteOrder.LITTLE_ENDIAN);
        out.putLong(padded - SafetensorsHeader.LENGTH_BYTES).put(json);
        while (out.hasRemaining()) {
            out.put((byte) ' ');
        }
        return out.flip();
    }
}
