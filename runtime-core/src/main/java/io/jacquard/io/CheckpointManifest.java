package io.jacquard.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// `manifest.json`, the last file of a checkpoint: the size and SHA-256 of every other one.
final class CheckpointManifest {
    static final String NAME = "manifest.json";
    private static final int MAX_BYTES = 64 << 20;

    private CheckpointManifest() {}

    /// Flushes and hashes every file below `directory`, then writes the manifest. Directories are flushed too.
    static void write(Path directory, long step) throws IOException {
        List<Path> paths;
        try (Stream<Path> tree = Files.walk(directory)) {
            paths = tree.sorted().toList();
        }
        Map<String, Object> files = new TreeMap<>();
        for (Path path : paths) {
            if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
                AtomicFiles.syncDirectory(path);
            } else if (AtomicFiles.isTemporary(path)) {
                throw new IllegalStateException(directory + ": " + path.getFileName() + " is still being written");
            } else {
                files.put(relative(directory, path), Map.of("bytes", Files.size(path), "sha256", syncAndHash(path)));
            }
        }
        if (files.containsKey(NAME)) {
            throw new IllegalStateException(directory + ": the name " + NAME + " is taken by the manifest itself");
        }
        AtomicFiles.writeText(directory.resolve(NAME), render(step, files));
    }

    /// What is wrong with the checkpoint, or empty. Without `contents` only presence and sizes are compared.
    static Optional<String> damage(Path directory, long step, boolean contents) {
        try {
            return Optional.ofNullable(findDamage(directory, step, contents));
        } catch (IOException e) {
            return Optional.of("cannot be read: " + e);
        } catch (IllegalArgumentException e) {
            return Optional.of(String.valueOf(e.getMessage()));
        }
    }

    private static @Nullable String findDamage(Path directory, long step, boolean contents) throws IOException {
        Path manifest = directory.resolve(NAME);
        if (!Files.exists(manifest)) {
            return "no " + NAME + ": it was never finished";
        }
        Map<String, @Nullable Object> root = Json.readObject(manifest, MAX_BYTES);
        if (!(root.get("files") instanceof Map<?, ?> files)
                || !Files.readString(manifest).equals(render(step, files))) {
            return NAME + " is not as it was written for step " + step;
        }
        for (Map.Entry<?, ?> entry : files.entrySet()) {
            String damage = fileDamage(directory, String.valueOf(entry.getKey()), entry.getValue(), contents);
            if (damage != null) {
                return damage;
            }
        }
        return null;
    }

    private static @Nullable String fileDamage(Path directory, String name, @Nullable Object value, boolean contents)
            throws IOException {
        Path file = directory.resolve(name).normalize();
        if (!(value instanceof Map<?, ?> expected) || !file.startsWith(directory.normalize())) {
            return NAME + " has a malformed entry " + Json.quote(name);
        }
        if (!Files.isRegularFile(file)) {
            return name + " is missing";
        }
        if (!Long.valueOf(Files.size(file)).equals(expected.get("bytes"))) {
            return name + " has " + Files.size(file) + " bytes; expected " + expected.get("bytes");
        }
        if (contents) {
            String hash = hash(file, false);
            if (!hash.equals(expected.get("sha256"))) {
                return name + " has SHA-256 " + hash + "; expected " + expected.get("sha256");
            }
        }
        return null;
    }

    private static String render(long step, Map<?, ?> files) {
        Map<String, Object> root = new TreeMap<>();
        root.put("format", 1L);
        root.put("step", step);
        Map<String, Object> canonical = new TreeMap<>();
        files.forEach((name, value) ->
                canonical.put(String.valueOf(name), value instanceof Map<?, ?> entry ? new TreeMap<>(entry) : "?"));
        root.put("files", canonical);
        return Json.renderLines(root);
    }

    private static String relative(Path directory, Path path) {
        return directory.relativize(path).toString().replace('\\', '/');
    }

    private static String syncAndHash(Path file) throws IOException {
        return hash(file, true);
    }

    private static String hash(Path file, boolean sync) throws IOException {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
        try (FileChannel channel = sync
                ? FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)
                : FileChannel.open(file, StandardOpenOption.READ)) {
            if (sync) {
                channel.force(true);
            }
            ByteBuffer buffer = ByteBuffer.allocate(1 << 20);
            while (channel.read(buffer) >= 0) {
                digest.update(buffer.flip());
                buffer.clear();
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }
}
