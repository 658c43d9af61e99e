package io.jacquard.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class KernelReportTest {
    private static final String SOURCE = """
            // A file about norms.
            #include "kernel.cuh"

            // norm, norm_sum: out = |x|
            //    over all elements
            // Bytes: n s     (s = bytes
            // per element)
            // Operations: 2 n
            // Roofline: memory
            // Tile: 256 threads
            KERNEL(norm_f32, 256, (float* x), norm(x))
            """;

    // To rewrite the page: mvn -pl native process-classes -Djacquard.resources=write
    @Test
    void pageIsUpToDate() throws IOException {
        Path module = Path.of("");
        assertEquals(
                KernelReport.page(KernelSources.read(module), KernelCompiler.committed(module)),
                Files.readString(Path.of("..", "docs", "kernels.md")));
    }

    @Test
    void commentsMayGoOnOverLines() {
        List<String> findings = new ArrayList<>();
        List<KernelReport.Comment> comments = KernelReport.comments("norms", SOURCE, findings);
        assertEquals(List.of(), findings);
        assertEquals(
                List.of(new KernelReport.Comment(
                        List.of("norm", "norm_sum"),
                        "out = |x| over all elements",
                        Map.of(
                                "Bytes", "n s (s = bytes per element)",
                                "Operations", "2 n",
                                "Roofline", "memory",
                                "Tile", "256 threads"))),
                comments);
    }

    @Test
    void oneCommentServesAllTypes() {
        assertEquals(List.of(), findings(SOURCE, "norm_f32", "norm_bf16", "norm_sum_f32"));
    }

    @Test
    void everyKernelNeedsAComment() {
        assertEquals(
                List.of(
                        "native/src/norms.cu: no comment for kernel gelu_bf16: write '// gelu: what it computes' with"
                                + " lines Bytes, Operations, Roofline, Tile above it",
                        "native/src/norms.cu: no comment for kernel normal: write '// normal: what it computes' with"
                                + " lines Bytes, Operations, Roofline, Tile above it"),
                findings(SOURCE, "gelu_bf16", "norm_f32", "norm_sum_f32", "normal"));
    }

    @Test
    void commentsWithoutKernelAreFound() {
        assertEquals(
                List.of("native/src/norms.cu: a comment for norm_sum, which is no kernel"),
                findings(SOURCE, "norm_f32"));
    }

    @Test
    void formIsHeld() {
        assertEquals(
                List.of("native/src/norms.cu:4: the comment of norm, norm_sum has no line '// Roofline: ...'"),
                findings(SOURCE.replace("// Roofline: memory\n", "")));
        assertEquals(
                List.of("native/src/norms.cu:4: the comment of a kernel starts with its name: '// gelu: out = ...'"),
                findings(SOURCE.replace("norm, norm_sum: out", "The norm of")));
    }

    @Test
    void pageHasOneSectionPerComment() {
        String page = KernelReport.page(sources(SOURCE), tables("norm_f32"));
        assertEquals("""
                ## norms

                ### norm, norm\\_sum

                out = \\|x\\| over all elements

                - **Bytes**: n s (s = bytes per element)
                - **Operations**: 2 n
                - **Roofline**: memory
                - **Tile**: 256 threads

                | kernel | registers | static shared bytes | spilled bytes |
                | --- | --- | --- | --- |
                | `norm_f32` | 24 | 64 | 0 |
                """, page.substring(page.indexOf("## norms")));
    }

    private static List<String> findings(String source, String... kernels) {
        return KernelReport.findings(sources(source), tables(kernels));
    }

    private static KernelSources sources(String source) {
        return new KernelSources(new TreeMap<>(Map.of("norms", source)), new TreeMap<>());
    }

    private static SortedMap<String, ResourceTable> tables(String... kernels) {
        List<ResourceTable.Row> rows = new ArrayList<>();
        for (String kernel : kernels) {
            rows.add(new ResourceTable.Row(kernel, "sm_80", 20, 0, 0, 0, 64));
            rows.add(new ResourceTable.Row(kernel, "sm_90a", 24, 0, 0, 0, 64));
        }
        return new TreeMap<>(Map.of("norms", new ResourceTable(rows)));
    }
}
