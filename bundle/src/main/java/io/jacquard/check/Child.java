package io.jacquard.check;

import io.jacquard.io.Json;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// A JVM like this one that runs a section and is ended when its time is over.
final class Child {
    private static final int LINES_KEPT = 30;

    /// Settings that a section takes over from the command.
    private static final List<String> PROPERTIES = List.of(
            Manifest.ROOT,
            "jacquard.cuda.driver",
            "jacquard.cuda.libraries",
            "jacquard.nvrtc",
            "jacquard.cache",
            "jacquard.contract",
            "org.bytedeco.javacpp.cachedir");

    private final ProcessBuilder process;
    private final Deque<String> lastLines = new ArrayDeque<>();

    Child(Section section, List<String> arguments, Map<String, String> environment) {
        process =
                new ProcessBuilder(command(section.flags(), section.main.getName(), arguments.toArray(new String[0])));
        process.environment().putAll(environment);
        process.redirectErrorStream(true);
    }

    /// The command that runs a main class with the flags and the class path of this JVM; `flags` win.
    static List<String> command(List<String> flags, String main, String... arguments) {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-Xmx4g",
                "-Djava.awt.headless=true"));
        for (String name : PROPERTIES) {
            String value = System.getProperty(name);
            if (value != null) {
                command.add("-D" + name + "=" + value);
            }
        }
        command.addAll(flags);
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), main));
        command.addAll(List.of(arguments));
        return command;
    }

    /// Runs it; `heard` gets every finding.
    ///
    /// @return null if it ended well, else why not
    @Nullable
    String run(double seconds, Consumer<Map<String, @Nullable Object>> heard) throws IOException {
        Process running = process.start();
        Thread reader = Thread.ofPlatform().daemon().start(() -> read(running, heard));
        try {
            if (!running.waitFor((long) (1000 * seconds), TimeUnit.MILLISECONDS)) {
                running.descendants().forEach(ProcessHandle::destroyForcibly);
                running.destroyForcibly().waitFor();
                return "not done after its " + Math.round(seconds) + " seconds";
            }
            reader.join(5000);
        } catch (InterruptedException e) {
            running.descendants().forEach(ProcessHandle::destroyForcibly);
            running.destroyForcibly();
            Thread.currentThread().interrupt();
            return "interrupted";
        }
        return running.exitValue() == 0
                ? null
                : "its JVM ended with " + running.exitValue() + ": " + String.join(" | ", lines());
    }

    private void read(Process running, Consumer<Map<String, @Nullable Object>> heard) {
        try (BufferedReader lines = running.inputReader()) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                if (line.startsWith(Findings.MARK)) {
                    heard.accept(Json.parseObject("a finding", line.substring(Findings.MARK.length())));
                } else if (!line.isBlank()) {
                    keep(line);
                }
            }
        } catch (IOException e) {
            keep("cannot read on: " + e);
        }
    }

    private synchronized void keep(String line) {
        lastLines.add(line);
        if (lastLines.size() > LINES_KEPT) {
            lastLines.remove();
        }
    }

    private synchronized List<String> lines() {
        return List.copyOf(lastLines);
    }
}
