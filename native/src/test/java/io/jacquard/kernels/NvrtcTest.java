package io.jacquard.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NvrtcTest {
    private final Nvrtc nvrtc = Nvrtc.open(Sample.library());

    @Test
    void versionIsTheOneOfTheJar() {
        assertEquals("13.3", nvrtc.version());
    }

    @Test
    void compilesToTheSameElfEachTime() {
        byte[] first = compile(Sample.ADD, "sm_90a").cubin().orElseThrow();
        assertArrayEquals(new byte[] {0x7f, 'E', 'L', 'F'}, Arrays.copyOf(first, 4));
        assertArrayEquals(first, compile(Sample.ADD, "sm_90a").cubin().orElseThrow());
    }

    @Test
    void everyArchitectureIsKnown() {
        for (String architecture : Cubins.ARCHITECTURES) {
            assertTrue(compile(Sample.ADD, architecture).cubin().isPresent(), architecture);
        }
    }

    @Test
    void logCountsRegisters() {
        String log = compile(Sample.ADD, "sm_80").log();
        assertTrue(log.contains("Compiling entry function 'add' for 'sm_80'"), log);
        assertTrue(log.contains("registers"), log);
    }

    @Test
    void wrongSourceIsALog() {
        Nvrtc.Result result = compile("\nextern \"C\" __global__ void add() { nothing(); }\n", "sm_80");
        assertEquals(Optional.empty(), result.cubin());
        assertEquals(
                "sum.cu(2): error: identifier \"nothing\" is undefined",
                result.log().lines().findFirst().orElseThrow());
    }

    @Test
    void unknownArchitectureIsALog() {
        Nvrtc.Result result = compile(Sample.ADD, "sm_7");
        assertEquals(Optional.empty(), result.cubin());
        assertTrue(result.log().contains("--gpu-architecture"), result.log());
    }

    @Test
    void missingLibraryIsNamed(@TempDir Path folder) {
        Path file = folder.resolve("libnvrtc.so.13");
        assertEquals(
                "cannot open NVRTC at " + file,
                assertThrows(IllegalStateException.class, () -> Nvrtc.open(file))
                        .getMessage());
    }

    private Nvrtc.Result compile(String source, String architecture) {
        return nvrtc.compile(
                "sum.cu",
                source,
                Map.of("math.cuh", Sample.MATH, "constants.cuh", Sample.CONSTANTS),
                List.copyOf(KernelCache.options(architecture)));
    }
}
