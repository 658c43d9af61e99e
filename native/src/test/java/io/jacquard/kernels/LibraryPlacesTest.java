package io.jacquard.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class LibraryPlacesTest {
    @TempDir
    private Path folder;

    private static List<Path> of(Map<String, String> properties, Map<String, String> environment) {
        return new LibraryPlaces(properties::get, environment).folders();
    }

    @Test
    void namedFoldersThenTheLoadersThenToolkits() {
        List<Path> folders = of(
                Map.of("jacquard.cuda.libraries", "/a:/b", "java.library.path", "/c::"),
                Map.of("LD_LIBRARY_PATH", "/d", "CUDA_HOME", "/e", "JACQUARD_CUDA_LIBRARIES", "/ignored"));
        assertEquals(
                List.of("/a", "/b", "/c", "/d", "/e/lib64", "/e/targets/x86_64-linux/lib", "/e/lib"),
                folders.subList(0, 7).stream().map(Path::toString).toList());
        assertTrue(folders.contains(Path.of("/usr/local/cuda/lib64")));
        assertTrue(folders.contains(Path.of("/usr/lib/wsl/lib")));
    }

    @Test
    void theVariableServesWithoutTheProperty() {
        assertEquals(
                Path.of("/v"),
                of(Map.of(), Map.of("JACQUARD_CUDA_LIBRARIES", "/v")).getFirst());
    }

    @Test
    void pythonOfTheEnvironmentAndOfThePath() throws IOException {
        Path lt = Path.of("lib/python3.12/site-packages/nvidia/cu13/lib");
        Path active = Files.createDirectories(folder.resolve("venv").resolve(lt));
        Path conda = Files.createDirectories(folder.resolve("conda").resolve(lt));
        Path onPath = Files.createDirectories(folder.resolve("tool").resolve(lt));
        Path bin = Files.createDirectories(folder.resolve("tool/bin"));
        assertTrue(Files.createFile(bin.resolve("python3")).toFile().setExecutable(true));
        Files.createFile(onPath.resolve("libcublasLt.so.13"));
        LibraryPlaces places = new LibraryPlaces(
                _ -> null,
                Map.of(
                        "VIRTUAL_ENV", folder.resolve("venv").toString(),
                        "CONDA_PREFIX", folder.resolve("conda").toString(),
                        "PATH", "/nowhere:" + bin));
        assertTrue(places.folders().containsAll(List.of(active, conda, onPath, folder.resolve("conda/lib"))));
        assertTrue(places.files("libcublasLt.so.13").contains(onPath.resolve("libcublasLt.so.13")));
    }
}
