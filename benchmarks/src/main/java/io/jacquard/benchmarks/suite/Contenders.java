package io.jacquard.benchmarks.suite;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Starts all sides, and starts one again that died.
final class Contenders implements AutoCloseable {
    /// PyTorch by a script of Python; the others are libraries for the JVM.
    static final String PYTORCH = "pytorch";

    static final List<String> JVM_PEERS = List.of("nd4j", "djl", "javacpp");

    /// The class path of the peers for the JVM, which the launcher sets where it has built them.
    static final String PEERS = "jacquard.bench.peers";

    private static final String PEER_MAIN = "io.jacquard.benchmarks.peers.PeerServer";

    /// glibc gives large blocks back to the kernel at once, and a framework that frees its activations then waits
    /// for page faults: PyTorch's steps are faster with its memory kept. Ours has an arena.
    private static final Map<String, String> MALLOC = Map.of(
            "MALLOC_MMAP_THRESHOLD_", "8589934592",
            "MALLOC_TRIM_THRESHOLD_", "17179869184",
            "MALLOC_TOP_PAD_", "268435456");

    private static final List<String> SCRIPTS = List.of("torch_peer.py", "torch_cases.py", "torch_models.py");

    private final String device;
    private final String python;
    private final boolean compiles;
    private final Path directory = Files.createTempDirectory("bench");
    private final Map<String, @Nullable Contender> peers = new LinkedHashMap<>();
    private final Map<String, String> missing = new LinkedHashMap<>();

    /// @param names of the peers that are wanted
    Contenders(String device, String python, boolean compiles, List<String> names) throws IOException {
        this.device = device;
        this.python = python;
        this.compiles = compiles;
        for (String name : names) {
            if (!name.equals(PYTORCH) && !JVM_PEERS.contains(name)) {
                throw new IllegalArgumentException(
                        "--peers " + name + ": there are " + PYTORCH + ", " + String.join(", ", JVM_PEERS));
            }
            peers.put(name, null);
        }
    }

    /// As records name one of the ways a peer has.
    static String label(String peer, String variant) {
        return variant.isEmpty() || variant.equals(peer) || variant.equals("default") ? peer : peer + " " + variant;
    }

    /// One turn of our kernels.
    OwnTurn turn(Row row, Turns turns) throws IOException {
        return OwnTurn.of(row, device, turns, directory.resolve("jmh.log"));
    }

    /// Our steps of one row; to be closed by the caller.
    Contender steps(Row row) throws IOException {
        Path run = Files.createTempDirectory(directory, "step");
        String spec = Lines.JSON.writeValueAsString(row.spec());
        return new Contender("jacquard", steps(spec, run), Map.of(), directory.resolve("steps.log"));
    }

    /// The names of the peers that are wanted, whether they are there or not.
    List<String> peers() {
        return List.copyOf(peers.keySet());
    }

    /// A peer, or null with [#missing] saying why.
    @Nullable
    Contender peer(String name) {
        Contender c = peers.get(name);
        if (!missing.containsKey(name) && (c == null || !c.isAlive())) {
            try {
                c = new Contender(name, command(name), MALLOC, directory.resolve(name + ".log"));
            } catch (IOException e) {
                c = null;
                missing.put(name, Turns.words(e));
            }
            peers.put(name, c);
        }
        return missing.containsKey(name) ? null : c;
    }

    /// Why a peer is not there.
    String missing(String name) {
        return missing.getOrDefault(name, "");
    }

    private List<String> command(String name) throws IOException {
        return name.equals(PYTORCH) ? torch() : jvmPeer(name);
    }

    private static List<String> jvmPeer(String name) throws IOException {
        String classPath = System.getProperty(PEERS);
        if (classPath == null) {
            throw new IOException("the peers for the JVM are not built: ./jacquard bench builds them, about 350 MB");
        }
        List<String> command = java();
        command.addAll(List.of(
                "--sun-misc-unsafe-memory-access=allow",
                // off-heap memory is the peers' own affair: the default limit is the heap's
                "-Dorg.bytedeco.javacpp.maxbytes=0",
                "-Dorg.bytedeco.javacpp.maxphysicalbytes=0",
                "-cp",
                classPath,
                PEER_MAIN,
                name,
                "--threads",
                Integer.toString(Runtime.getRuntime().availableProcessors())));
        return command;
    }

    private List<String> steps(String spec, Path run) {
        List<String> command = java();
        System.getProperties().stringPropertyNames().stream()
                .filter(name -> name.startsWith("jacquard.") || name.startsWith("org.bytedeco."))
                .forEach(name -> command.add("-D" + name + "=" + System.getProperty(name)));
        command.addAll(List.of(
                "-cp",
                System.getProperty("java.class.path"),
                StepServer.class.getName(),
                spec,
                device,
                run.toString()));
        return command;
    }

    private static List<String> java() {
        return new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC"));
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
        for (Contender c : peers.values()) {
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
