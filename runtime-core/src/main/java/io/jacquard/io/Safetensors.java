package io.jacquard.io;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// One safetensors file, mapped into memory and checked completely before the first tensor is handed out.
///
/// **Memory** The file is mapped, not read: tensors cost page cache only. Segments die with `close()`.
/// **Thread** Any number of threads may read.
public final class Safetensors implements AutoCloseable {
    private final Path file;
    private final Arena arena;
    private final MemorySegment data;
    private final Map<String, String> metadata;
    private final Map<String, SafetensorsEntry> tensors;

    private Safetensors(Path file, Arena arena) throws IOException {
        this.file = file;
        this.arena = arena;
        MemorySegment bytes;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        }
        SafetensorsHeader header = SafetensorsHeader.read(file.toString(), bytes);
        data = bytes.asSlice(header.dataOffset());
        metadata = Collections.unmodifiableMap(header.metadata());
        tensors = new LinkedHashMap<>();
        header.tensors().forEach(tensor -> tensors.put(tensor.name(), tensor));
    }

    /// Maps and checks a file. Do not truncate it while it is open: the mapping would fault.
    ///
    /// @throws IllegalArgumentException if the file breaks any rule of the format: one line with the file, what was
    ///     found and what was expected
    @SuppressWarnings("MustBeClosedChecker") // the result owns the arena
    public static Safetensors open(Path file) throws IOException {
        Arena arena = Arena.ofShared();
        try {
            return new Safetensors(file, arena);
        } catch (IOException | RuntimeException | Error e) {
            arena.close();
            throw e;
        }
    }

    /// The file this was opened from.
    public Path file() {
        return file;
    }

    /// The `__metadata__` strings; empty if there are none.
    public Map<String, String> metadata() {
        return metadata;
    }

    /// All tensors in the order of their data.
    public List<SafetensorsEntry> tensors() {
        return List.copyOf(tensors.values());
    }

    /// The tensor of this name, or null.
    public @Nullable SafetensorsEntry find(String name) {
        return tensors.get(name);
    }

    /// The tensor's little-endian bytes, read-only. They start anywhere, since old writers do not align: read them
    /// with `_UNALIGNED` layouts or copy them.
    ///
    /// @throws IllegalArgumentException if there is no such tensor
    public MemorySegment data(String name) {
        SafetensorsEntry tensor = tensors.get(name);
        if (tensor == null) {
            throw new IllegalArgumentException(
                    file + ": no tensor " + Json.quote(name) + " among its " + tensors.size());
        }
        return data.asSlice(tensor.begin(), tensor.bytes());
    }

    @Override
    public void close() {
        arena.close();
    }
}
