package io.jacquard.benchmarks.peers;

import io.jacquard.benchmarks.suite.Lines;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/// A peer's process, as the benchmarks start it: two libraries with a PyTorch each cannot share one.
final class Child implements AutoCloseable {
    private final Process process;
    private final PrintStream to;
    private final BufferedReader from;
    final JsonNode ready;

    Child(String... arguments) throws IOException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(PeerServer.FLAGS);
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), PeerServer.class.getName()));
        command.addAll(List.of(arguments));
        process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        to = new PrintStream(process.getOutputStream(), true, StandardCharsets.UTF_8);
        from = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        ready = read();
    }

    JsonNode ask(Map<String, ?> command) throws IOException {
        to.println(Lines.JSON.writeValueAsString(command));
        return read();
    }

    private JsonNode read() throws IOException {
        String line = from.readLine();
        if (line == null) {
            throw new IOException("the peer ended without an answer");
        }
        return Lines.JSON.readTree(line);
    }

    /// Asks it to quit and returns what it exits with.
    int quit() throws IOException, InterruptedException {
        to.println("{\"do\": \"quit\"}");
        return process.waitFor();
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}
