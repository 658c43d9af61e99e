package io.jacquard.kernels;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The text of every kernel file: `families` by file name without `.cu`, `headers` as `#include "..."` names them.
record KernelSources(SortedMap<String, String> families, SortedMap<String, String> headers) {
    /// The list of [#packed] files in the jar.
    static final String LIST = "sources.txt";

    private static final String SOURCE = ".cu";
    private static final Pattern INCLUDE = Pattern.compile("(?m)^[ \\t]*#[ \\t]*include[ \\t]*\"([^\"]+)\"");

    /// Reads `src/*.cu` and `include/*.cuh` of the module's folder.
    static KernelSources read(Path module) throws IOException {
        SortedMap<String, String> families = new TreeMap<>();
        files(module.resolve("src"), "*" + SOURCE).forEach((name, text) -> families.put(family(name), text));
        return new KernelSources(families, files(module.resolve("include"), "*.cuh"));
    }

    private static String family(String file) {
        return file.substring(0, file.length() - SOURCE.length());
    }

    private static SortedMap<String, String> files(Path folder, String pattern) throws IOException {
        SortedMap<String, String> texts = new TreeMap<>();
        if (Files.isDirectory(folder)) {
            try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, pattern)) {
                for (Path file : files) {
                    texts.put(String.valueOf(file.getFileName()), Files.readString(file));
                }
            }
        }
        return texts;
    }

    /// The files to put beside this class in the jar, by path.
    SortedMap<String, byte[]> pack() {
        SortedMap<String, byte[]> files = new TreeMap<>();
        families.forEach((family, text) -> files.put("src/" + family + SOURCE, utf8(text)));
        headers.forEach((name, text) -> files.put("include/" + name, utf8(text)));
        files.put(LIST, utf8(String.join("\n", files.keySet()) + "\n"));
        return files;
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /// Reads what [#pack] put into the jar.
    static KernelSources packed() {
        SortedMap<String, String> families = new TreeMap<>();
        SortedMap<String, String> headers = new TreeMap<>();
        for (String path : resource(LIST).lines().toList()) {
            String name = path.substring(path.indexOf('/') + 1);
            if (name.endsWith(SOURCE)) {
                families.put(family(name), resource(path));
            } else {
                headers.put(name, resource(path));
            }
        }
        return new KernelSources(families, headers);
    }

    private static String resource(String path) {
        try (InputStream in = KernelSources.class.getResourceAsStream(path)) {
            if (in == null) {
                throw new IllegalStateException("the kernels' jar has no " + path + ": built without its compile step");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new IllegalStateException("cannot read " + path + " of the kernels' jar", e);
        }
    }

    String source(String family) {
        return Objects.requireNonNull(families.get(family), family);
    }

    /// The headers that a family includes, directly or through others.
    Map<String, String> included(String family) {
        Map<String, String> found = new LinkedHashMap<>();
        collect(source(family), found);
        return found;
    }

    private void collect(String text, Map<String, String> found) {
        Matcher include = INCLUDE.matcher(text);
        while (include.find()) {
            String name = include.group(1);
            String header = headers.get(name);
            if (header != null && found.putIfAbsent(name, header) == null) {
                collect(header, found);
            }
        }
    }
}
