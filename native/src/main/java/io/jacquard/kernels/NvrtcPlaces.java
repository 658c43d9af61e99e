package io.jacquard.kernels;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// Where `libnvrtc` may be on a machine that runs the kernels.
final class NvrtcPlaces {
    private static final String NAME = "libnvrtc.so*";
    private static final List<String> PACKED = List.of("libnvrtc-builtins.so.13.3", "libnvrtc.so.13");
    private static final String PACKED_FOLDER = "org/bytedeco/cuda/linux-x86_64/";

    private final Map<String, String> environment;
    private final Path cache;
    private final List<String> tried = new ArrayList<>();

    /// `cache` is a folder for a library that is on the class path inside a jar.
    NvrtcPlaces(Map<String, String> environment, Path cache) {
        this.environment = environment;
        this.cache = cache;
    }

    /// Each place looked at, in order.
    List<String> tried() {
        return List.copyOf(tried);
    }

    /// The library that `named` (a file or folder, `-Djacquard.nvrtc`) says or else the first one found.
    Optional<Path> find(Optional<String> named) {
        if (named.isPresent()) {
            return in("-Djacquard.nvrtc", Path.of(named.get()));
        }
        Optional<Path> packed = fromClassPath();
        if (packed.isPresent()) {
            return packed;
        }
        for (Path folder : folders()) {
            Optional<Path> found = in("", folder);
            if (found.isPresent()) {
                return found;
            }
        }
        return Optional.empty();
    }

    private Optional<Path> in(String why, Path place) {
        tried.add(why.isEmpty() ? place.toString() : why + "=" + place);
        if (Files.isRegularFile(place)) {
            return Optional.of(place);
        }
        return expand(place, NAME).stream().findFirst();
    }

    private Set<Path> folders() {
        Set<Path> folders = new LinkedHashSet<>();
        for (String path : environment.getOrDefault("LD_LIBRARY_PATH", "").split(":", -1)) {
            if (!path.isBlank()) {
                folders.add(Path.of(path));
            }
        }
        for (String home : List.of("CUDA_HOME", "CUDA_PATH")) {
            if (environment.containsKey(home)) {
                folders.add(Path.of(environment.get(home), "lib64"));
            }
        }
        folders.add(Path.of("/usr/local/cuda/lib64"));
        expand(Path.of("/usr/local"), "cuda-*").forEach(toolkit -> folders.add(toolkit.resolve("lib64")));
        folders.add(Path.of("/usr/lib/x86_64-linux-gnu"));
        folders.add(Path.of("/usr/lib64"));
        for (Path packages : pythonPackages()) {
            expand(packages.resolve("nvidia"), "*").forEach(part -> folders.add(part.resolve("lib")));
        }
        return folders;
    }

    // PyTorch's wheels bring NVIDIA's libraries: on many GPU servers these are the only ones.
    private List<Path> pythonPackages() {
        List<Path> packages = new ArrayList<>();
        List<Path> roots = new ArrayList<>();
        for (String variable : List.of("VIRTUAL_ENV", "CONDA_PREFIX")) {
            if (environment.containsKey(variable)) {
                roots.add(Path.of(environment.get(variable), "lib"));
            }
        }
        if (environment.containsKey("HOME")) {
            roots.add(Path.of(environment.get("HOME"), ".local", "lib"));
        }
        roots.add(Path.of("/usr/local/lib"));
        roots.add(Path.of("/usr/lib"));
        for (Path root : roots) {
            for (Path python : expand(root, "python3*")) {
                packages.add(python.resolve("site-packages"));
                packages.add(python.resolve("dist-packages"));
            }
        }
        return packages;
    }

    // In reverse order: the newest version first.
    private static List<Path> expand(Path folder, String pattern) {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        List<Path> found = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder, pattern)) {
            entries.forEach(found::add);
        } catch (IOException e) {
            return List.of(); // a folder we may not list holds nothing for us
        }
        return found.stream().sorted(Comparator.reverseOrder()).toList();
    }

    private Optional<Path> fromClassPath() {
        tried.add("org.bytedeco:cuda-redist on the class path");
        ClassLoader loader = NvrtcPlaces.class.getClassLoader();
        if (loader == null || loader.getResource(PACKED_FOLDER + PACKED.getLast()) == null) {
            return Optional.empty();
        }
        try {
            Files.createDirectories(cache);
            for (String name : PACKED) {
                unpack(loader, name);
            }
            return Optional.of(cache.resolve(PACKED.getLast()));
        } catch (IOException e) {
            throw new IllegalStateException("cannot unpack NVRTC into " + cache, e);
        }
    }

    private void unpack(ClassLoader loader, String name) throws IOException {
        Path file = cache.resolve(name);
        if (Files.exists(file)) {
            return;
        }
        Path part = Files.createTempFile(cache, name, ".part");
        try (InputStream in = loader.getResourceAsStream(PACKED_FOLDER + name)) {
            if (in == null) {
                throw new IOException("no " + PACKED_FOLDER + name + " on the class path");
            }
            Files.copy(in, part, StandardCopyOption.REPLACE_EXISTING);
        }
        Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }
}
