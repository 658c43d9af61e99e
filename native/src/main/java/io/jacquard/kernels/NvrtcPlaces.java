package io.jacquard.kernels;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Where `libnvrtc` may be on a machine that runs the kernels.
final class NvrtcPlaces {
    private static final String NAME = "libnvrtc.so*";
    private static final List<String> PACKED = List.of("libnvrtc-builtins.so.13.3", "libnvrtc.so.13");
    private static final String PACKED_FOLDER = "org/bytedeco/cuda/linux-x86_64/";

    private final LibraryPlaces places;
    private final Path cache;
    private final List<String> tried = new ArrayList<>();

    /// `cache` is a folder for a library that is on the class path inside a jar.
    NvrtcPlaces(LibraryPlaces places, Path cache) {
        this.places = places;
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
        for (Path folder : places.folders()) {
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
        return LibraryPlaces.expand(place, NAME).stream().findFirst();
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
