package io.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The launcher script in a checkout that is built already, under a path with spaces.
final class LauncherTest {
    @TempDir
    private Path directory;

    private Path root;

    @BeforeEach
    void checkout() throws IOException {
        root = Files.createDirectories(directory.resolve("my check out"));
        Files.copy(Path.of("..", "jacquard"), root.resolve("jacquard"), StandardCopyOption.COPY_ATTRIBUTES);
        Path lib = Files.createDirectories(root.resolve("runtime-train/target/lib"));
        Files.writeString(root.resolve("pom.xml"), "");
        int n = 0;
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator, -1)) {
            if (Files.exists(Path.of(entry))) {
                Files.createSymbolicLink(
                        lib.resolve(n++ + ".jar"), Path.of(entry).toAbsolutePath());
            }
        }
        Files.createFile(root.resolve("runtime-train/target/launcher.stamp")); // newest: nothing to build
    }

    @AfterEach
    void removeLinks() throws IOException { // JUnit would warn of every one that leads out of its directory
        try (Stream<Path> links = Files.walk(directory)) {
            for (Path link : links.filter(Files::isSymbolicLink).toList()) {
                Files.delete(link);
            }
        }
    }

    private record Ended(int code, String out) {}

    private static Ended run(ProcessBuilder process) throws IOException, InterruptedException {
        process.environment().put("JAVA25_HOME", System.getProperty("java.home"));
        Process p = process.redirectErrorStream(true).start();
        String out = new String(p.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
        return new Ended(p.waitFor(), out);
    }

    @Test
    void startsFromAPathWithSpaces() throws Exception {
        Ended e = run(new ProcessBuilder(root.resolve("jacquard").toString(), "--version"));
        assertEquals(0, e.code, e.out);
        assertTrue(e.out.contains("\njacquard ") || e.out.startsWith("jacquard "), e.out);
    }

    @Test
    void startsThroughALink() throws Exception {
        Path link = Files.createSymbolicLink(directory.resolve("j"), root.resolve("jacquard"));
        Ended e = run(new ProcessBuilder(List.of(link.toString(), "completion")).directory(directory.toFile()));
        assertEquals(0, e.code, e.out);
        assertTrue(e.out.contains("complete -F"), e.out);
    }

    @Test
    void namesTheJdkItFound() throws Exception {
        ProcessBuilder process = new ProcessBuilder(root.resolve("jacquard").toString());
        process.environment().put("JACQUARD_PRINT_JDK", "1");
        process.environment().put("JAVA_HOME", System.getProperty("java.home"));
        assertEquals(new Ended(0, System.getProperty("java.home") + "\n"), run(process));
    }

    @Test
    void aBundleKnowsItsOptions() throws Exception {
        Ended e = run(new ProcessBuilder(root.resolve("jacquard").toString(), "bundle", "--out", "x"));
        assertEquals(new Ended(2, "jacquard: bundle knows --output FILE only, not --out\n"), e);
        e = run(new ProcessBuilder(root.resolve("jacquard").toString(), "bundle", "--help"));
        assertEquals(0, e.code, e.out);
        assertTrue(e.out.contains("Usage: jacquard bundle"), e.out);
    }
}
