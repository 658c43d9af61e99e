package io.jacquard.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CubinsTest {
    private final String library = Sample.library().toString();

    @TempDir
    Path cache;

    @BeforeEach
    void useOwnCache() {
        System.setProperty("jacquard.cache", cache.toString());
    }

    @AfterEach
    void restore() {
        System.clearProperty("jacquard.cache");
        System.setProperty("jacquard.nvrtc", library);
    }

    @Test
    void codeRunsOnLaterMinorVersionsAndWithAnAOnItsOwnOnly() {
        List<String> all = Cubins.ARCHITECTURES;
        assertEquals(Optional.of("sm_80"), Cubins.matching(all, 8, 0));
        assertEquals(Optional.of("sm_80"), Cubins.matching(all, 8, 6));
        assertEquals(Optional.of("sm_89"), Cubins.matching(all, 8, 9));
        assertEquals(Optional.of("sm_90a"), Cubins.matching(all, 9, 0));
        assertEquals(Optional.of("sm_100a"), Cubins.matching(all, 10, 0));
        assertEquals(Optional.empty(), Cubins.matching(all, 10, 3));
        assertEquals(Optional.empty(), Cubins.matching(all, 11, 0));
        assertEquals(Optional.of("sm_120"), Cubins.matching(all, 12, 1));
    }

    @Test
    void jarHoldsWhatTheBuildMade() throws IOException {
        List<Cubins.Cubin> cubins = Cubins.forDevice(9, 0);
        assertEquals(
                List.copyOf(KernelSources.read(Path.of("")).families().keySet()),
                cubins.stream().map(Cubins.Cubin::family).toList());
        for (Cubins.Cubin cubin : cubins) {
            assertArrayEquals(
                    Files.readAllBytes(
                            Path.of("target/classes/io/jacquard/kernels/cubin/sm_90a", cubin.family() + ".cubin")),
                    cubin.image());
        }
    }

    @Test
    void jarHoldsTheSources() throws IOException {
        assertEquals(KernelSources.read(Path.of("")), KernelSources.packed());
    }

    @Test
    void olderDevicesAreRefused() {
        assertEquals(
                "the kernels need compute capability 8.0 (Ampere) or newer; this device has 7.5",
                assertThrows(IllegalStateException.class, () -> Cubins.forDevice(7, 5))
                        .getMessage());
    }

    @Test
    void withoutCompilerTheMessageListsEveryPlace() {
        System.setProperty("jacquard.nvrtc", "/nowhere");
        assertEquals(
                "no kernels for compute capability 10.3 in this build (it has sm_100a, sm_120, sm_80, sm_89, sm_90a),"
                        + " and NVRTC, which would compile them, is not found; install CUDA's NVRTC 13 or name it by"
                        + " -Djacquard.nvrtc=<libnvrtc.so or its folder>; looked at:\n  -Djacquard.nvrtc=/nowhere",
                assertThrows(IllegalStateException.class, () -> Cubins.forDevice(10, 3))
                        .getMessage());
    }

    @Test
    void unlistedArchitectureIsCompiledOnce() {
        KernelSources sources = Sample.sources();
        List<KernelCache.Built> first = Cubins.compiled(sources, "sm_103a", cache, Path.of(library));
        assertTrue(Files.isDirectory(cache.resolve("kernels/sm_103a")));
        assertEquals(
                List.of("sum"), first.stream().map(KernelCache.Built::family).toList());
        assertFalse(first.getFirst().log().isEmpty());
    }

    private static LibraryPlaces places(Map<String, String> environment) {
        return new LibraryPlaces(_ -> null, environment);
    }

    @Test
    void libraryIsFoundInAFolder() {
        assertEquals(
                Optional.of(Path.of(library)),
                new NvrtcPlaces(places(Map.of()), cache)
                        .find(Optional.of(Path.of(library).getParent().toString())));
    }

    @Test
    void environmentIsSearched() {
        String folder = Path.of(library).getParent().toString();
        NvrtcPlaces places = new NvrtcPlaces(places(Map.of("LD_LIBRARY_PATH", "/nowhere::" + folder)), cache);
        assertEquals(Optional.of(Path.of(library)), places.find(Optional.empty()));
        assertEquals(List.of("org.bytedeco:cuda-redist on the class path", "/nowhere", folder), places.tried());
    }

    @Test
    void pythonPackagesAndToolkitsAreSearched() throws IOException {
        Path lib = Files.createDirectories(cache.resolve("venv/lib/python3.12/site-packages/nvidia/cu13/lib"));
        Files.createFile(lib.resolve("libnvrtc.so.13"));
        NvrtcPlaces places = new NvrtcPlaces(
                places(Map.of("VIRTUAL_ENV", cache.resolve("venv").toString(), "CUDA_HOME", "/opt/cuda")), cache);
        Optional<Path> found = places.find(Optional.empty());
        assertTrue(places.tried().contains("/opt/cuda/lib64"), places.tried().toString());
        assertTrue(
                found.equals(Optional.of(lib.resolve("libnvrtc.so.13")))
                        || !found.orElseThrow().startsWith(cache),
                "this machine's own toolkit comes first");
    }
}
