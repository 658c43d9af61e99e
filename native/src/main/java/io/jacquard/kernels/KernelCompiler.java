package io.jacquard.kernels;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;

/// The compile step of the module: every `src/*.cu` for every architecture of [Cubins#ARCHITECTURES] into the
/// folder of classes, with the sources beside them for architectures unknown today.
///
/// `KernelCompiler MODULE TARGET LIBRARY GATE` where GATE is `check` (tables of registers and comments must fit),
/// `write` (rewrites `resources/*.csv` and `docs/kernels.md`) or `off`; LIBRARY `none` packs the sources only.
final class KernelCompiler {
    private static final String REWRITE = "mvn -pl native process-classes -Djacquard.resources=write";

    private static final String RESOURCES = "resources";

    private final Path module;

    KernelCompiler(Path module) {
        this.module = module;
    }

    public static void main(String[] arguments) throws IOException {
        Path target = Path.of(arguments[1]);
        try {
            new KernelCompiler(Path.of(arguments[0]).toAbsolutePath().normalize())
                    .run(target, arguments[2], arguments[3]);
        } catch (IllegalStateException e) {
            System.out.println(e.getMessage());
            System.exit(1);
        }
    }

    void run(Path target, String library, String gate) throws IOException {
        KernelSources sources = KernelSources.read(module);
        SortedMap<String, byte[]> packed = sources.pack();
        Path classes = target.resolve("classes").resolve("io/jacquard/kernels");
        if (library.equals("none")) {
            pack(classes, packed);
            System.out.println("kernels: compilation skipped; the jar holds their sources");
            return;
        }
        long start = System.nanoTime();
        KernelCache cache = new KernelCache(target.resolve("kernels"), Path.of(library));
        int threads = Math.min(8, Runtime.getRuntime().availableProcessors());
        List<KernelCache.Built> built = cache.build(sources, Cubins.ARCHITECTURES, threads);
        packed.putAll(Cubins.pack(built));
        pack(classes, packed);
        System.out.printf(
                Locale.ROOT,
                "kernels: %d cubins of %d families, %.1f MB; %d compiled in %.1f s, the others unchanged%n",
                built.size(),
                sources.families().size(),
                built.stream().mapToLong(unit -> unit.cubin().length).sum() / 1e6,
                cache.compiled(),
                (System.nanoTime() - start) / 1e9);
        gate(gate, sources, tables(built));
    }

    private static SortedMap<String, ResourceTable> tables(List<KernelCache.Built> built) {
        SortedMap<String, List<String>> logs = new TreeMap<>();
        built.forEach(unit ->
                logs.computeIfAbsent(unit.family(), _ -> new ArrayList<>()).add(unit.log()));
        SortedMap<String, ResourceTable> tables = new TreeMap<>();
        logs.forEach((family, texts) -> tables.put(family, ResourceTable.ofLogs(texts)));
        return tables;
    }

    private void gate(String gate, KernelSources sources, SortedMap<String, ResourceTable> built) throws IOException {
        switch (gate) {
            case "off" -> {
                return;
            }
            case "write" -> write(sources, built);
            case "check" ->
                failOn(
                        "the table of registers and shared memory in native/resources is not what the kernels are built"
                                + " with; where that is meant: " + REWRITE,
                        differences(committed(module), built));
            default -> throw new IllegalStateException("jacquard.resources is check, write or off, not '" + gate + "'");
        }
        failOn("comments of kernels (native/README.md has the form):", KernelReport.findings(sources, built));
        Path reasons = module.resolve("spills.txt");
        failOn(
                "kernels spill registers to memory; free some, or give the reason in native/spills.txt as"
                        + " 'kernel architecture: reason'",
                ResourceTable.spillFindings(
                        built.values().stream()
                                .flatMap(table -> table.rows().stream())
                                .toList(),
                        Files.exists(reasons) ? Files.readString(reasons) : ""));
    }

    private static void failOn(String title, List<String> findings) {
        if (!findings.isEmpty()) {
            throw new IllegalStateException(title + "\n  " + String.join("\n  ", findings));
        }
    }

    /// The committed tables by family.
    static SortedMap<String, ResourceTable> committed(Path module) throws IOException {
        SortedMap<String, ResourceTable> tables = new TreeMap<>();
        Path folder = module.resolve(RESOURCES);
        if (Files.isDirectory(folder)) {
            try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "*.csv")) {
                for (Path file : files) {
                    String name = String.valueOf(file.getFileName());
                    tables.put(name.substring(0, name.length() - 4), ResourceTable.ofCsv(Files.readString(file)));
                }
            }
        }
        return tables;
    }

    static List<String> differences(
            SortedMap<String, ResourceTable> committed, SortedMap<String, ResourceTable> built) {
        ResourceTable none = new ResourceTable(List.of());
        SortedMap<String, ResourceTable> families = new TreeMap<>(committed);
        families.putAll(built);
        return families.keySet().stream()
                .flatMap(family ->
                        committed.getOrDefault(family, none).differences(built.getOrDefault(family, none)).stream()
                                .map(line -> family + ": " + line))
                .toList();
    }

    private void write(KernelSources sources, SortedMap<String, ResourceTable> built) throws IOException {
        SortedMap<String, byte[]> files = new TreeMap<>();
        built.forEach((family, table) ->
                files.put(RESOURCES + "/" + family + ".csv", table.csv().getBytes(StandardCharsets.UTF_8)));
        writeAll(module, files);
        removeOthers(module, RESOURCES, files);
        Files.writeString(module.resolveSibling("docs").resolve("kernels.md"), KernelReport.page(sources, built));
    }

    private static void pack(Path classes, SortedMap<String, byte[]> files) throws IOException {
        writeAll(classes, files);
        for (String folder : List.of("src", "include", "cubin")) {
            removeOthers(classes, folder, files);
        }
    }

    // Leaves alone what is right already: the time of a file says when it changed.
    private static void writeAll(Path root, SortedMap<String, byte[]> files) throws IOException {
        for (var file : files.entrySet()) {
            Path path = root.resolve(file.getKey());
            if (!Files.exists(path) || !Arrays.equals(Files.readAllBytes(path), file.getValue())) {
                Files.createDirectories(path.getParent());
                Files.write(path, file.getValue());
            }
        }
    }

    private static void removeOthers(Path root, String folder, SortedMap<String, byte[]> files) throws IOException {
        if (Files.isDirectory(root.resolve(folder))) {
            try (Stream<Path> present = Files.walk(root.resolve(folder))) {
                for (Path path : present.filter(Files::isRegularFile).toList()) {
                    if (!files.containsKey(root.relativize(path).toString())) {
                        Files.delete(path);
                    }
                }
            }
        }
    }
}
