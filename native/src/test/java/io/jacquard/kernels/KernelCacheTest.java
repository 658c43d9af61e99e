package io.jacquard.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KernelCacheTest {
    private static final List<String> TWO = List.of("sm_80", "sm_90a");

    @TempDir
    Path folder;

    @Test
    void unchangedSourcesAreNotCompiledAgain() {
        List<KernelCache.Built> first = cache().build(Sample.sources(), TWO, 2);
        KernelCache second = cache();
        List<KernelCache.Built> again = second.build(Sample.sources(), TWO, 2);
        assertEquals(0, second.compiled());
        assertEquals(
                List.of("sm_80", "sm_90a"),
                again.stream().map(KernelCache.Built::architecture).toList());
        for (int i = 0; i < 2; i++) {
            assertArrayEquals(first.get(i).cubin(), again.get(i).cubin());
            assertEquals(first.get(i).log(), again.get(i).log());
        }
    }

    @Test
    void onlyWhatChangedIsCompiled() throws IOException {
        Map<String, String> families = new TreeMap<>(Map.of("sum", Sample.ADD, "empty", "// nothing\n"));
        assertEquals(4, compiled(Sample.sources(families)));
        families.put("empty", "// nothing at all\n");
        assertEquals(2, compiled(Sample.sources(families)));
        KernelSources sources = Sample.sources(families);
        sources.headers().put("constants.cuh", "#define ONE 1.0f\n");
        assertEquals(2, compiled(sources), "of the family that includes it through another header");
        sources.headers().put("other.cuh", "int anotherOne;\n");
        assertEquals(0, compiled(sources), "nobody includes it");
        try (Stream<Path> files = Files.walk(folder)) {
            assertEquals(8, files.filter(Files::isRegularFile).count(), "a cubin and a log each, no older ones");
        }
    }

    @Test
    void wrongSourcesAreReportedTogetherWithTheirPlaces() {
        KernelSources sources = Sample.sources(
                Map.of("sum", Sample.ADD, "bad", "\n\nextern \"C\" __global__ void bad() { nothing(); }\n"));
        sources.headers().put("math.cuh", "__device__ float next(float x) { return y; }\n");
        String message = assertThrows(IllegalStateException.class, () -> cache().build(sources, TWO, 2))
                .getMessage();
        assertTrue(message.contains("""
                native/src/bad.cu does not compile for sm_80, sm_90a:
                native/src/bad.cu:3: error: identifier "nothing" is undefined
                """), message);
        assertTrue(message.contains("""
                native/src/sum.cu does not compile for sm_80, sm_90a:
                native/include/math.cuh:1: error: identifier "y" is undefined
                """), message);
    }

    @Test
    void missingHeaderIsNamed() {
        KernelSources sources = Sample.sources(Map.of("sum", "#include \"gone.cuh\"\n"));
        String message = assertThrows(IllegalStateException.class, () -> cache().build(sources, List.of("sm_80"), 1))
                .getMessage();
        assertTrue(message.contains("native/src/sum.cu:1: ") && message.contains("gone.cuh"), message);
    }

    private int compiled(KernelSources sources) {
        KernelCache cache = cache();
        cache.build(sources, TWO, 2);
        return cache.compiled();
    }

    private KernelCache cache() {
        return new KernelCache(folder, Sample.library());
    }
}
