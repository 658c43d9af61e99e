package io.jacquard.train;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/// Real text that every machine with a JDK has: the sources of the JDK itself.
public final class QuickstartText {
    private static final String PREFIX = "java.base/java/";
    private static final long MAX_BYTES = 16L << 20;

    private QuickstartText() {}

    /// The sources of this JDK's `java.*` packages below `directory`, unpacked there once, or the project's own
    /// sources if the JDK comes without.
    ///
    /// @throws IllegalArgumentException if there are neither
    public static Path find(Path directory) throws IOException {
        Path archive = Path.of(System.getProperty("java.home"), "lib", "src.zip");
        if (Files.isRegularFile(archive)) {
            unpack(archive, directory);
            return directory;
        }
        Path own = Path.of(System.getProperty("jacquard.home", "."), "runtime-core", "src", "main", "java");
        if (Files.isDirectory(own)) {
            return own;
        }
        throw new IllegalArgumentException(
                "quickstart: this JDK has no lib/src.zip, and the project's sources are not at " + own
                        + "; name a file or a folder with --text");
    }

    private static void unpack(Path archive, Path directory) throws IOException {
        Path complete = directory.resolve(".complete");
        if (Files.exists(complete)) {
            return;
        }
        Files.createDirectories(directory);
        try (ZipFile zip = new ZipFile(archive.toFile())) {
            long left = MAX_BYTES;
            for (ZipEntry entry : entries(zip)) {
                Path target = directory
                        .resolve(entry.getName().substring(PREFIX.length()))
                        .normalize();
                if (entry.getSize() <= left && target.startsWith(directory.normalize())) {
                    left -= entry.getSize();
                    Files.createDirectories(target.getParent());
                    try (InputStream in = zip.getInputStream(entry)) {
                        Files.write(target, in.readAllBytes());
                    }
                }
            }
        }
        Files.writeString(complete, "");
    }

    private static List<? extends ZipEntry> entries(ZipFile zip) {
        try (Stream<? extends ZipEntry> all = zip.stream()) {
            // Half of the files of every package, rather than all files of the first packages.
            return all.filter(e -> e.getName().startsWith(PREFIX) && e.getName().endsWith(".java"))
                    .filter(e -> e.getName().hashCode() % 2 == 0)
                    .sorted(Comparator.comparing(ZipEntry::getName))
                    .toList();
        }
    }
}
