package io.jacquard.kernels;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/// Where NVIDIA's libraries may be on a machine that runs the kernels: one list, in one order, for all of them.
///
/// A folder that was named comes first, then what the loader would take, then toolkits, the distribution's folders,
/// and the packages of a Python environment: on many GPU servers PyTorch's are the only ones.
public final class LibraryPlaces {
    /// Folders of libraries, separated as on a path.
    public static final String PROPERTY = "jacquard.cuda.libraries";

    /// The same, in the environment; the property wins.
    public static final String VARIABLE = "JACQUARD_CUDA_LIBRARIES";

    /// Where containers, WSL and distributions put the libraries of the driver itself.
    public static final List<String> DRIVER_FOLDERS = List.of(
            "/usr/lib/x86_64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu",
            "/usr/lib64",
            "/usr/lib/wsl/lib",
            "/usr/local/nvidia/lib64",
            "/usr/local/cuda/compat",
            "/run/opengl-driver/lib");

    /// Of a toolkit, from its own folder.
    private static final List<String> TOOLKIT_FOLDERS = List.of("lib64", "targets/x86_64-linux/lib", "lib");

    private final Set<Path> folders = new LinkedHashSet<>();

    /// `property` answers with system properties, `environment` is that of the process.
    public LibraryPlaces(Function<String, @Nullable String> property, Map<String, String> environment) {
        String named = property.apply(PROPERTY);
        path(named == null ? environment.get(VARIABLE) : named);
        path(property.apply("java.library.path"));
        path(environment.get("LD_LIBRARY_PATH"));
        for (String home : List.of("CUDA_HOME", "CUDA_PATH")) {
            if (environment.containsKey(home)) {
                toolkit(Path.of(environment.get(home)));
            }
        }
        toolkit(Path.of("/usr/local/cuda"));
        expand(Path.of("/usr/local"), "cuda-*").forEach(this::toolkit);
        DRIVER_FOLDERS.forEach(folder -> folders.add(Path.of(folder)));
        python(environment);
    }

    /// Those of this process.
    public static LibraryPlaces ofThisProcess() {
        return new LibraryPlaces(System::getProperty, System.getenv());
    }

    /// Every folder, in the order of the search; most do not exist.
    public List<Path> folders() {
        return List.copyOf(folders);
    }

    /// The files that match the glob `name`, from first choice to last.
    public List<Path> files(String name) {
        return folders.stream().flatMap(f -> expand(f, name).stream()).toList();
    }

    private void path(@Nullable String path) {
        for (String folder : path == null ? new String[0] : path.split(":", -1)) {
            if (!folder.isBlank()) {
                folders.add(Path.of(folder));
            }
        }
    }

    private void toolkit(Path home) {
        TOOLKIT_FOLDERS.forEach(folder -> folders.add(home.resolve(folder)));
    }

    private void python(Map<String, String> environment) {
        Set<Path> roots = new LinkedHashSet<>();
        for (String variable : List.of("VIRTUAL_ENV", "CONDA_PREFIX")) {
            if (environment.containsKey(variable)) {
                roots.add(Path.of(environment.get(variable)));
            }
        }
        for (String bin : environment.getOrDefault("PATH", "").split(":", -1)) {
            Path home = bin.isBlank() ? null : Path.of(bin).getParent();
            if (home != null && Files.isExecutable(Path.of(bin, "python3"))) {
                roots.add(home);
            }
        }
        if (environment.containsKey("HOME")) {
            roots.add(Path.of(environment.get("HOME"), ".local"));
        }
        roots.add(Path.of("/usr/local"));
        roots.add(Path.of("/usr"));
        for (Path root : roots) {
            if (environment.getOrDefault("CONDA_PREFIX", "").equals(root.toString())) {
                toolkit(root); // conda's own packages of CUDA
            }
            for (Path python : expand(root.resolve("lib"), "python3*")) {
                for (String packages : List.of("site-packages", "dist-packages")) {
                    expand(python.resolve(packages).resolve("nvidia"), "*")
                            .forEach(part -> folders.add(part.resolve("lib")));
                }
            }
        }
    }

    // In reverse order: the newest version first.
    static List<Path> expand(Path folder, String pattern) {
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
}
