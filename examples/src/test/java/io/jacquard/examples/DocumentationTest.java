package io.jacquard.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The pages show the programs that are built and run here, word for word, and their links lead somewhere.
final class DocumentationTest {
    private static final Path ROOT = Path.of("..").toAbsolutePath().normalize();
    private static final Pattern SAMPLE = Pattern.compile("```java\\n(.*?)```\\n", Pattern.DOTALL);
    private static final Pattern LINK = Pattern.compile("]\\(([^)#:]+)(#[^)]*)?\\)");

    @ParameterizedTest
    @CsvSource({
        "docs/library.md, examples/library/src/main/java/TrainFromJava.java",
        "docs/add-an-op.md, examples/src/test/java/io/jacquard/examples/Square.java",
        "docs/add-an-op.md, examples/src/test/java/io/jacquard/examples/SquareTest.java",
        "docs/benchmarking.md, benchmarks/src/main/java/io/jacquard/benchmarks/jmh/AxpbyBenchmark.java",
    })
    void pageContainsTheProgram(String page, String program) throws IOException {
        String code = Files.readString(ROOT.resolve(program));
        assertTrue(
                Files.readString(ROOT.resolve(page)).contains("```java\n" + code + "```\n"),
                page + " does not contain " + program + " as it is; copy the file into its ```java block");
    }

    /// Indentation aside, which is that of the whole program.
    @ParameterizedTest
    @ValueSource(strings = {"docs/parallel.md", "docs/pipeline.md"})
    void samplesArePartsOfAProgram(String page) throws IOException {
        String program = "examples/src/test/java/io/jacquard/examples/ManyRanksTest.java";
        String code = stripped(Files.readString(ROOT.resolve(program)));
        List<String> samples = SAMPLE.matcher(Files.readString(ROOT.resolve(page)))
                .results()
                .map(m -> stripped(m.group(1)))
                .toList();
        assertFalse(samples.isEmpty(), page);
        for (String sample : samples) {
            assertTrue(code.contains(sample), page + " has a sample that is no part of " + program + ":\n" + sample);
        }
    }

    private static String stripped(String code) {
        return code.lines().map(String::strip).collect(Collectors.joining("\n"));
    }

    @Test
    void pageAndExampleNameTheSameVersion() throws IOException {
        String dependency = Files.readString(ROOT.resolve("examples/library/pom.xml"))
                .lines()
                .map(String::strip)
                .filter(line -> line.startsWith("<version>0"))
                .findFirst()
                .orElseThrow();
        assertTrue(Files.readString(ROOT.resolve("docs/library.md")).contains(dependency), dependency);
    }

    @Test
    void linksLeadSomewhere() throws IOException {
        try (Stream<Path> pages = Files.list(ROOT.resolve("docs"))) {
            List<Path> all = Stream.concat(Stream.of(ROOT.resolve("README.md")), pages)
                    .filter(p -> p.toString().endsWith(".md"))
                    .toList();
            List<String> broken =
                    all.stream().flatMap(DocumentationTest::brokenLinks).toList();
            assertEquals(List.of(), broken);
        }
    }

    private static Stream<String> brokenLinks(Path page) {
        try {
            return LINK.matcher(Files.readString(page))
                    .results()
                    .map(m -> m.group(1))
                    .filter(target -> !Files.exists(page.resolveSibling(target)))
                    .map(target -> ROOT.relativize(page) + " -> " + target);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
