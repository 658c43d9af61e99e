package io.jacquard.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KernelCompilerTest {
    @TempDir
    Path root;

    private Path module;
    private Path target;

    @BeforeEach
    void makeModule() throws IOException {
        module = Files.createDirectories(root.resolve("native"));
        target = module.resolve("target");
        Files.createDirectories(root.resolve("docs"));
        write("src/sum.cu", Sample.ADD);
        write("include/math.cuh", Sample.MATH);
        write("include/constants.cuh", Sample.CONSTANTS);
    }

    @Test
    void tableAndPageAreWrittenOnceThenHold() throws IOException {
        run("write");
        assertTrue(Files.readString(root.resolve("docs/kernels.md")).contains("| `add` |"));
        String table = Files.readString(module.resolve("resources/sum.csv"));
        assertEquals(6, table.lines().count());
        run("check");
        assertTrue(Files.exists(target.resolve("classes/io/jacquard/kernels/cubin/sm_120/sum.cubin")));
        assertTrue(Files.exists(target.resolve("classes/io/jacquard/kernels/include/math.cuh")));
    }

    @Test
    void differenceFailsAndSaysHowToRewrite() throws IOException {
        run("write");
        String table = Files.readString(module.resolve("resources/sum.csv"));
        write("resources/sum.csv", table.replaceFirst("sm_80,\\d+", "sm_80,77"));
        String message = failure("check");
        assertTrue(
                message.startsWith(
                        "the table of registers and shared memory in native/resources is not what the kernels"
                                + " are built with; where that is meant: mvn -pl native process-classes"
                                + " -Djacquard.resources=write\n  sum: add for sm_80: the table says 77 registers, 0 + 0 bytes"
                                + " spilled, 0 bytes of stack, 0 bytes of static shared memory; built with "),
                message);
        run("off");
    }

    @Test
    void familyThatIsGoneLeavesNothing() throws IOException {
        write("src/other.cu", Sample.ADD.replace("add", "other"));
        run("write");
        Files.delete(module.resolve("src/other.cu"));
        assertTrue(failure("check").contains("other: other for sm_80: in the table, no longer in the source"));
        assertFalse(Files.exists(target.resolve("classes/io/jacquard/kernels/cubin/sm_80/other.cubin")));
        run("write");
        assertFalse(Files.exists(module.resolve("resources/other.csv")));
        assertTrue(Files.exists(module.resolve("src/sum.cu")));
    }

    @Test
    void spillsFailWithoutReason() throws IOException {
        write("src/spilling.cu", """
                // spilling: many values at once
                // Bytes: 0
                // Operations: 0
                // Roofline: none
                // Tile: 1024 threads, to have 64 registers only
                extern "C" __global__ void __launch_bounds__(1024) spilling(float* x) {
                    float v[128];
                    #pragma unroll
                    for (int i = 0; i < 128; i++) v[i] = x[i * 1024 + threadIdx.x];
                    __syncthreads();
                    #pragma unroll
                    for (int i = 0; i < 128; i++) x[i * 1024 + (threadIdx.x ^ 1)] = v[i] * v[127 - i];
                }
                """);
        String message = failure("write");
        assertTrue(
                message.startsWith(
                        "kernels spill registers to memory; free some, or give the reason in"
                                + " native/spills.txt as 'kernel architecture: reason'\n  spilling sm_80 spills: 64 registers, "),
                message);
        write("spills.txt", "spilling *: to see it\n");
        run("check");
    }

    @Test
    void commentsAreDemanded() throws IOException {
        write("src/sum.cu", Sample.ADD.replace("// Tile: 64 threads\n", ""));
        assertEquals(
                "comments of kernels (native/README.md has the form):\n"
                        + "  native/src/sum.cu:2: the comment of add has no line '// Tile: ...'\n"
                        + "  native/src/sum.cu: no comment for kernel add: write '// add: what it computes' with lines"
                        + " Bytes, Operations, Roofline, Tile above it",
                failure("write"));
    }

    @Test
    void withoutCompilerTheSourcesAreStillPacked() throws IOException {
        new KernelCompiler(module).run(target, "none", "check");
        assertTrue(Files.exists(target.resolve("classes/io/jacquard/kernels/src/sum.cu")));
        assertFalse(Files.exists(target.resolve("classes/io/jacquard/kernels/cubins.txt")));
    }

    @Test
    void unknownGateIsRefused() {
        assertEquals("jacquard.resources is check, write or off, not 'maybe'", failure("maybe"));
    }

    private void write(String file, String text) throws IOException {
        Path path = module.resolve(file);
        Files.createDirectories(path.getParent());
        Files.writeString(path, text);
    }

    private void run(String gate) throws IOException {
        new KernelCompiler(module).run(target, Sample.library().toString(), gate);
    }

    private String failure(String gate) {
        return assertThrows(IllegalStateException.class, () -> run(gate)).getMessage();
    }
}
