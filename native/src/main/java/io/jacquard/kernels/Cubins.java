package io.jacquard.kernels;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The compiled kernels for the device at hand.
public final class Cubins {
    /// What the jar holds cubins for.
    static final List<String> ARCHITECTURES = List.of("sm_80", "sm_89", "sm_90a", "sm_100a", "sm_120");

    private static final String LIST = "cubins.txt";
    private static final Pattern ARCHITECTURE = Pattern.compile("sm_(\\d+)(\\d)(a?)");

    /// The kernels of one source file, as `cuLibraryLoadData` takes them.
    public record Cubin(String family, byte[] image) {}

    private Cubins() {}

    /// All families for a device of compute capability `major.minor`: out of the jar, or for an architecture that
    /// it lacks compiled now, once per machine, from the sources in the jar.
    ///
    /// Fails when that needs NVRTC and none is found; the message names every place looked at. `-Djacquard.nvrtc`
    /// names the library or its folder, `-Djacquard.cache` the folder for what was compiled (`~/.cache/jacquard`).
    public static List<Cubin> forDevice(int major, int minor) {
        if (major < 8) {
            throw new IllegalStateException(
                    "the kernels need compute capability 8.0 (Ampere) or newer; this device has " + major + "."
                            + minor);
        }
        Map<String, List<String>> listed = listed();
        Optional<String> architecture = matching(listed.keySet().stream().toList(), major, minor);
        if (architecture.isPresent()) {
            String name = architecture.get();
            return listed.getOrDefault(name, List.of()).stream()
                    .map(family -> new Cubin(family, read("cubin/" + name + "/" + family + ".cubin")))
                    .toList();
        }
        // From 9.0 on "a" adds what only this architecture has, and the sources are guarded by it.
        return compile("sm_" + major + minor + (major >= 9 ? "a" : ""), major + "." + minor, listed);
    }

    /// The best of `architectures` that runs on `major.minor`: code runs on its own major version from its minor
    /// on, and with an "a" on exactly its own.
    static Optional<String> matching(List<String> architectures, int major, int minor) {
        return architectures.stream().filter(name -> runs(name, major, minor)).max(Comparator.naturalOrder());
    }

    private static boolean runs(String name, int major, int minor) {
        Matcher architecture = ARCHITECTURE.matcher(name);
        if (!architecture.matches()) {
            throw new IllegalStateException("not an architecture: " + name);
        }
        int from = Integer.parseInt(architecture.group(2));
        return Integer.parseInt(architecture.group(1)) == major
                && (architecture.group(3).isEmpty() ? from <= minor : from == minor);
    }

    private static List<Cubin> compile(String architecture, String capability, Map<String, List<String>> listed) {
        Path cache = Optional.ofNullable(System.getProperty("jacquard.cache"))
                .map(Path::of)
                .orElseGet(() -> Path.of(System.getProperty("user.home", "."), ".cache", "jacquard"));
        NvrtcPlaces places = new NvrtcPlaces(LibraryPlaces.ofThisProcess(), cache.resolve("nvrtc"));
        Path library = places.find(Optional.ofNullable(System.getProperty("jacquard.nvrtc")))
                .orElseThrow(() -> new IllegalStateException("no kernels for compute capability " + capability
                        + " in this build (it has "
                        + (listed.isEmpty() ? "none" : String.join(", ", listed.keySet()))
                        + "), and NVRTC, which would compile them, is not found; install CUDA's NVRTC 13 or name it by"
                        + " -Djacquard.nvrtc=<libnvrtc.so or its folder>; looked at:\n  "
                        + String.join("\n  ", places.tried())));
        return compiled(KernelSources.packed(), architecture, cache, library).stream()
                .map(built -> new Cubin(built.family(), built.cubin()))
                .toList();
    }

    static List<KernelCache.Built> compiled(KernelSources sources, String architecture, Path cache, Path library) {
        int threads = Runtime.getRuntime().availableProcessors();
        return new KernelCache(cache.resolve("kernels"), library).build(sources, List.of(architecture), threads);
    }

    /// The files to put beside this class in the jar, by path.
    static SortedMap<String, byte[]> pack(List<KernelCache.Built> built) {
        SortedMap<String, byte[]> files = new TreeMap<>();
        StringBuilder list = new StringBuilder();
        for (KernelCache.Built unit : built) {
            files.put("cubin/" + unit.architecture() + "/" + unit.family() + ".cubin", unit.cubin());
            list.append(unit.architecture()).append(' ').append(unit.family()).append('\n');
        }
        files.put(LIST, list.toString().getBytes(StandardCharsets.UTF_8));
        return files;
    }

    private static Map<String, List<String>> listed() {
        Map<String, List<String>> families = new TreeMap<>();
        if (Cubins.class.getResource(LIST) != null) {
            for (String line :
                    new String(read(LIST), StandardCharsets.UTF_8).lines().toList()) {
                String[] words = line.split(" ", 2);
                families.computeIfAbsent(words[0], _ -> new ArrayList<>()).add(words[1]);
            }
        }
        return families;
    }

    private static byte[] read(String path) {
        try (InputStream in = Cubins.class.getResourceAsStream(path)) {
            if (in == null) {
                throw new IllegalStateException("the kernels' jar has no " + path);
            }
            return in.readAllBytes();
        } catch (IOException e) {
            throw new IllegalStateException("cannot read " + path + " of the kernels' jar", e);
        }
    }
}
