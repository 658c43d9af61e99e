package io.jacquard.benchmarks.suite;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import tools.jackson.databind.JsonNode;

/// A process that answers each line of JSON with one of its own, and waits in between.
final class Contender implements AutoCloseable {
    private static final int LOG_CHARACTERS = 1500;

    private final String name;
    private final Process process;
    private final PrintStream to;
    private final BufferedReader from;
    private final Path log;
    private final JsonNode ready;

    /// What a contender says no with.
    static final class Refused extends IOException {
        private static final long serialVersionUID = 1;

        Refused(String message) {
            super(message);
        }
    }

    /// Starts it and waits until it is ready; `log` receives what it prints to people.
    ///
    /// @throws Refused if it says what is missing
    Contender(String name, List<String> command, Map<String, String> environment, Path log) throws IOException {
        this.name = name;
        this.log = log;
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().putAll(environment);
        process = builder.redirectError(ProcessBuilder.Redirect.appendTo(log.toFile()))
                .start();
        to = new PrintStream(process.getOutputStream(), true, StandardCharsets.UTF_8);
        from = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        try {
            ready = read();
        } catch (IOException e) {
            close();
            throw e;
        }
    }

    /// What it said of itself.
    JsonNode ready() {
        return ready;
    }

    boolean isAlive() {
        return process.isAlive();
    }

    /// Sends a command and waits for its answer; a process that gives none in time is ended.
    ///
    /// @throws Refused if the answer is an error
    JsonNode ask(Map<String, ?> command, Duration limit) throws IOException {
        to.println(Lines.JSON.writeValueAsString(command));
        CompletableFuture<Void> watch = CompletableFuture.runAsync(
                process::destroyForcibly, CompletableFuture.delayedExecutor(limit.toMillis(), TimeUnit.MILLISECONDS));
        try {
            return read();
        } catch (Refused e) {
            throw e;
        } catch (IOException e) {
            throw watch.isDone() ? new IOException(name + ": no answer within " + limit.toSeconds() + " s", e) : e;
        } finally {
            watch.cancel(false);
        }
    }

    /// As [#ask], where no answer matters: one that cannot do it is ended, and started again for the next row.
    void tell(Map<String, ?> command) {
        try {
            ask(command, Duration.ofMinutes(1));
        } catch (IOException e) {
            process.destroyForcibly().onExit().join();
        }
    }

    private JsonNode read() throws IOException {
        String answer = from.readLine();
        if (answer == null) {
            throw new IOException(name + " ended without an answer" + lastWords());
        }
        JsonNode node = Lines.JSON.readTree(answer);
        if (node.has("error")) {
            throw new Refused(node.get("error").asString());
        }
        return node;
    }

    private String lastWords() throws IOException {
        File file = log.toFile();
        if (!file.exists() || file.length() == 0) {
            return "";
        }
        String text = Files.readString(log).strip();
        return "; it printed: " + text.substring(Math.max(0, text.length() - LOG_CHARACTERS));
    }

    @Override
    public void close() {
        to.println("{\"do\": \"quit\"}");
        to.close();
        try {
            if (!process.waitFor(10, TimeUnit.SECONDS)) {
                process.destroyForcibly();
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
    }
}
