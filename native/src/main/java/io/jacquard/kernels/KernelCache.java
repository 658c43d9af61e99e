package io.jacquard.kernels;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/// Compiles families for architectures, and each of them once: results stay in a folder under a hash of everything
/// that goes into them.
final class KernelCache {
    private static final String CUBIN = ".cubin";
    private static final String LOG = ".log";
    private static final Pattern LOCATION = Pattern.compile("(?m)^([\\w./-]+)\\((\\d+)\\): ");

    private final Path folder;
    private final Path library;
    private final Supplier<Nvrtc> compiler;
    private final AtomicInteger compiled = new AtomicInteger();

    /// One family for one architecture; `log` holds registers, spills and shared memory of each kernel.
    record Built(String family, String architecture, byte[] cubin, String log) {}

    private record Unit(String family, String architecture) {}

    // The same for several architectures is said once.
    private record Failure(String family, String message) {}

    /// `library` is opened when something has to be compiled.
    KernelCache(Path folder, Path library) {
        this.folder = folder;
        this.library = library;
        this.compiler = once(() -> Nvrtc.open(library));
    }

    private static Supplier<Nvrtc> once(Supplier<Nvrtc> open) {
        return new Supplier<>() {
            private Optional<Nvrtc> value = Optional.empty();

            @Override
            public synchronized Nvrtc get() {
                if (value.isEmpty()) {
                    value = Optional.of(open.get());
                }
                return value.get();
            }
        };
    }

    /// How many compilations ran so far.
    int compiled() {
        return compiled.get();
    }

    /// All families, each for all architectures; fails with every message of the compiler.
    List<Built> build(KernelSources sources, List<String> architectures, int threads) {
        List<Unit> units = new ArrayList<>();
        for (String family : sources.families().keySet()) {
            architectures.forEach(architecture -> units.add(new Unit(family, architecture)));
        }
        // The longest first, or the last one runs alone.
        List<Unit> byLength = new ArrayList<>(units);
        byLength.sort(
                Comparator.comparingInt(unit -> -sources.source(unit.family()).length()));
        Map<Unit, Future<Built>> results = new HashMap<>();
        try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
            byLength.forEach(unit -> results.put(unit, pool.submit(() -> build(sources, unit))));
        }
        List<Built> built = new ArrayList<>();
        Map<Failure, List<String>> failures = new LinkedHashMap<>();
        for (Unit unit : units) {
            Future<Built> result = Objects.requireNonNull(results.get(unit));
            if (result.state() == Future.State.SUCCESS) {
                built.add(result.resultNow());
            } else {
                Failure failure = new Failure(
                        unit.family(), String.valueOf(result.exceptionNow().getMessage()));
                failures.computeIfAbsent(failure, _ -> new ArrayList<>()).add(unit.architecture());
            }
        }
        if (!failures.isEmpty()) {
            throw new IllegalStateException(failures.entrySet().stream()
                    .map(failure -> "native/src/" + failure.getKey().family() + ".cu does not compile for "
                            + String.join(", ", failure.getValue()) + ":\n"
                            + failure.getKey().message())
                    .collect(Collectors.joining("\n")));
        }
        return built;
    }

    private Built build(KernelSources sources, Unit unit) throws IOException {
        List<String> options = options(unit.architecture());
        String key = unit.family() + "-" + hash(sources, unit.family(), options);
        Path place = folder.resolve(unit.architecture());
        Path cubin = place.resolve(key + CUBIN);
        Path log = place.resolve(key + LOG);
        if (Files.exists(cubin) && Files.exists(log)) {
            return new Built(unit.family(), unit.architecture(), Files.readAllBytes(cubin), Files.readString(log));
        }
        Nvrtc.Result result = compiler.get()
                .compile(
                        "native/src/" + unit.family() + ".cu",
                        sources.source(unit.family()),
                        sources.included(unit.family()),
                        options);
        compiled.incrementAndGet();
        byte[] image = result.cubin().orElseThrow(() -> new IllegalStateException(located(result.log(), sources)));
        Files.createDirectories(place);
        removeOlder(place, unit.family());
        replace(log, result.log().getBytes(StandardCharsets.UTF_8));
        replace(cubin, image);
        return new Built(unit.family(), unit.architecture(), image, result.log());
    }

    static List<String> options(String architecture) {
        return List.of(
                "--gpu-architecture=" + architecture,
                "--std=c++17",
                "--ptxas-options=-v",
                // Else NVRTC raises the stack limit of the whole JVM.
                "--modify-stack-limit=false",
                // 1444: a deprecated declaration, of which NVIDIA's own headers are full.
                "--diag-suppress=1444");
    }

    private String hash(KernelSources sources, String family, List<String> options) throws IOException {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            // The file's name holds the major version, its size tells minor ones apart: opening it costs 0.1 s.
            add(digest, library.getFileName() + " " + Files.size(library));
            options.forEach(option -> add(digest, option));
            add(digest, family);
            add(digest, sources.source(family));
            sources.included(family).forEach((name, text) -> {
                add(digest, name);
                add(digest, text);
            });
            return HexFormat.of().formatHex(digest.digest(), 0, 8);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }

    private static void add(MessageDigest digest, String text) {
        digest.update(text.getBytes(StandardCharsets.UTF_8));
        digest.update((byte) 0);
    }

    // "gelu.cu(12): error" as "gelu.cu:12: error", which editors follow, with the folder of headers.
    private static String located(String log, KernelSources sources) {
        return LOCATION.matcher(log.strip())
                .replaceAll(at ->
                        Matcher.quoteReplacement((sources.headers().containsKey(at.group(1)) ? "native/include/" : "")
                                + at.group(1) + ":" + at.group(2) + ": "));
    }

    private static void removeOlder(Path place, String family) throws IOException {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(place, family + "-????????????????.{cubin,log}")) {
            for (Path file : files) {
                Files.deleteIfExists(file);
            }
        }
    }

    // In one step: another process may be reading.
    private static void replace(Path file, byte[] content) throws IOException {
        Path part = Files.createTempFile(file.getParent(), "part", null);
        Files.write(part, content);
        Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }
}
