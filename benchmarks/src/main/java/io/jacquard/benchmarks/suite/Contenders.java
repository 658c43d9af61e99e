package io.jacquard.benchmarks.suite;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Starts both sides, and starts one again that died.
final class Contenders implements AutoCloseable {
    /// Commands that start a JVM, in place of the one that runs this.
    private static final String JAVA = "jacquard.bench.java";

    private static final List<String> SCRIPTS = List.of("torch_peer.py", "torch_cases.py", "torch_models.py");

    private final String device;
    private final String python;
    private final boolean compiles;
    private final Path directory = Files.createTempDirectory("gpu-bench");
    private @Nullable Contender ours;
    private @Nullable Contender peer;
    private @Nullable String peerMissing;

    Contenders(String device, String python, boolean compiles, @Nullable String peerMissing) throws IOException {
        this.device = device;
        this.python = python;
        this.compiles = compiles;
        this.peerMissing = peerMissing;
    }

    /// Our kernels.
    Contender ours() throws IOException {
        Contender c = ours;
        if (c == null || !c.isAlive()) {
            c = new Contender("jacquard", java(KernelServer.class, device), directory.resolve("jacquard.log"));
            ours = c;
        }
        return c;
    }

    /// Our steps of one row; to be closed by the caller.
    Contender steps(Row row) throws IOException {
        Path run = Files.createTempDirectory(directory, "step");
        String spec = Lines.JSON.writeValueAsString(row.spec());
        return new Contender(
                "jacquard", java(StepServer.class, spec, device, run.toString()), directory.resolve("steps.log"));
    }

    /// PyTorch, or null with [#peerMissing] saying why.
    @Nullable
    Contender peer() {
        Contender c = peer;
        if (peerMissing == null && (c == null || !c.isAlive())) {
            try {
                c = new Contender("torch", torch(), directory.resolve("torch.log"));
            } catch (IOException e) {
                c = null;
                peerMissing = Turns.words(e);
            }
            peer = c;
        }
        return c;
    }

    @Nullable
    String peerMissing() {
        return peerMissing;
    }

    private static List<String> java(Class<?> main, String... arguments) {
        List<String> command = new ArrayList<>();
        String told = System.getProperty(JAVA);
        if (told == null) {
            command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
            command.addAll(List.of("--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"));
            command.add("-XX:+UseSerialGC");
            System.getProperties().stringPropertyNames().stream()
                    .filter(name -> name.startsWith("jacquard.") || name.startsWith("org.bytedeco."))
                    .forEach(name -> command.add("-D" + name + "=" + System.getProperty(name)));
            command.addAll(List.of("-cp", System.getProperty("java.class.path")));
        } else {
            command.addAll(List.of(told.split(" +", -1)));
        }
        command.add(main.getName());
        command.addAll(List.of(arguments));
        return command;
    }

    private List<String> torch() throws IOException {
        for (String script : SCRIPTS) {
            try (InputStream in = Contenders.class.getResourceAsStream("/io/jacquard/benchmarks/python/" + script)) {
                if (in == null) {
                    throw new IOException(script + " is not on the class path");
                }
                Files.write(directory.resolve(script), in.readAllBytes());
            }
        }
        List<String> command = new ArrayList<>(
                List.of(python, directory.resolve(SCRIPTS.getFirst()).toString()));
        command.addAll(List.of("--device", device.startsWith("cuda") ? "cuda" : "cpu"));
        if (!compiles) {
            command.add("--no-compile");
        }
        return command;
    }

    @Override
    public void close() throws IOException {
        for (Contender c : new @Nullable Contender[] {ours, peer}) {
            if (c != null) {
                c.close();
            }
        }
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        }
    }
}
