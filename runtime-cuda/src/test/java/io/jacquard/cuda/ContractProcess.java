package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.fail;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// A [ContractRunner] at work, and its answers one after the other.
final class ContractProcess implements AutoCloseable {
    private final Process process;
    private final BufferedReader answers;
    private final Path log;

    ContractProcess(int capability, long seed) throws IOException {
        log = Files.createDirectories(Path.of("target", "contract")).resolve("sm_" + capability + ".log");
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-Xmx1g",
                "-XX:+UseSerialGC"));
        for (String property : List.of("jacquard.cuda.driver", "jacquard.cuda.libraries", "jacquard.contract")) {
            command.add("-D" + property + "=" + System.getProperty(property, ""));
        }
        command.addAll(List.of(
                "-classpath",
                System.getProperty("java.class.path"),
                ContractRunner.class.getName(),
                Integer.toString(capability),
                Long.toString(seed)));
        process = new ProcessBuilder(command).redirectError(log.toFile()).start();
        answers = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    }

    /// Waits for the next answer, which is about `name`, and fails as the case did.
    void check(String name) {
        String start = ContractRunner.ANSWER + name + "\t";
        try {
            String line = answers.readLine();
            while (line != null && !line.startsWith(ContractRunner.ANSWER)) {
                line = answers.readLine();
            }
            if (line == null) {
                fail("the process has ended with " + process.waitFor() + "; " + log.toAbsolutePath() + " may say why");
            } else if (!line.startsWith(start)) {
                fail("asked for " + name + ", the process is at " + line);
            } else if (line.length() > start.length()) {
                fail(line.substring(start.length()).translateEscapes() + "\nstack trace in " + log.toAbsolutePath());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}
