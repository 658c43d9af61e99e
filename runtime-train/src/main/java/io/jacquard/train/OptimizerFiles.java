package io.jacquard.train;

import io.jacquard.io.DecoderFiles;
import io.jacquard.io.FilePart;
import io.jacquard.io.Safetensors;
import io.jacquard.io.SafetensorsEntry;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/// The optimizer's state in a checkpoint: whole tensors, named by kind and parameter (`m.transformer.wte.weight`), in
/// one file or several.
final class OptimizerFiles implements AutoCloseable {
    private static final String FIXED =
            "optimizer.type, optimizer.stateDtype and training.dtype cannot change within a run";

    private final Path directory;
    private final Map<String, Safetensors> owners = new LinkedHashMap<>();
    private final List<Safetensors> files;

    private OptimizerFiles(Path directory, List<Safetensors> files) {
        this.directory = directory;
        this.files = files;
        for (Safetensors f : files) {
            f.tensors().forEach(t -> owners.put(t.name(), f));
        }
    }

    /// Opens all files of this name.
    static OptimizerFiles open(Path directory, String name) throws IOException {
        List<Path> paths;
        try (Stream<Path> all = Files.list(directory)) {
            paths = all.filter(f -> FilePart.isOneOf(name, f)).sorted().toList();
        }
        List<Safetensors> files = new ArrayList<>();
        try {
            for (Path p : paths) {
                files.add(Safetensors.open(p));
            }
        } catch (IOException | RuntimeException e) {
            files.forEach(Safetensors::close);
            throw e;
        }
        return new OptimizerFiles(directory, files);
    }

    boolean isEmpty() {
        return owners.isEmpty();
    }

    boolean has(String name) {
        return owners.containsKey(name);
    }

    /// @throws IllegalArgumentException unless there is state of exactly these kinds
    void check(Set<String> kinds) {
        Set<String> found = new TreeSet<>();
        owners.keySet().forEach(n -> found.add(n.replaceFirst("\\..*", "")));
        if (!found.equals(new TreeSet<>(kinds))) {
            throw new IllegalArgumentException(
                    directory + ": holds " + found + ", the optimizer needs " + new TreeSet<>(kinds) + "; " + FIXED);
        }
    }

    /// The bytes of a tensor that must have this dtype and shape.
    MemorySegment bytes(String name, DType dtype, Shape shape) {
        Safetensors file = owners.get(name);
        SafetensorsEntry entry = file == null ? null : file.find(name);
        if (file == null
                || entry == null
                || entry.type() != DecoderFiles.type(dtype)
                || !entry.shape().equals(DecoderFiles.dims(shape))) {
            throw new IllegalArgumentException(directory + ": '" + name + "' is "
                    + (entry == null ? "absent" : entry.type() + " " + entry.shape()) + ", the optimizer's is " + shape
                    + " " + dtype + "; " + FIXED);
        }
        return file.data(name);
    }

    /// [#bytes] on the device, in the current scope.
    Tensor tensor(String name, DType dtype, Shape shape) {
        Tensor t = Tensor.empty(shape, dtype);
        t.copyFrom(bytes(name, dtype, shape));
        return t;
    }

    @Override
    public void close() {
        files.forEach(Safetensors::close);
    }
}
