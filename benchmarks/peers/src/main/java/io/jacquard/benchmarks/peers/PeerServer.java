package io.jacquard.benchmarks.peers;

import io.jacquard.benchmarks.suite.Lines;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// One JVM library behind the protocol of `torch_peer.py`: `prepare` a row, `check` a way of doing it against doubles,
/// `time` it; `start` a model and `run` steps of it; `free` either.
///
///     java FLAGS -cp "benchmarks/peers/target/jacquard-benchmark-peers.jar:benchmarks/peers/target/lib/*" \
///         io.jacquard.benchmarks.peers.PeerServer javacpp [--threads N]
public final class PeerServer {
    /// What the JVM of every peer is started with.
    public static final List<String> FLAGS =
            List.of("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow", "-XX:+UseSerialGC");

    /// JavaCPP limits memory outside the heap to what `-Xmx` is. DJL looks for its natives on the network, which
    /// are on the class path.
    private static final Map<String, String> PROPERTIES = Map.of(
            "org.bytedeco.javacpp.maxbytes", "0",
            "org.bytedeco.javacpp.maxphysicalbytes", "0",
            "ai.djl.offline", "true");

    /// A kernel runs for so long before it is timed: the JVM compiles what is around it.
    private static final long WARM_NANOS = 100_000_000;

    private final Peer peer;
    private Map<String, PeerKernel> kernels = Map.of();
    private Map<String, Supplier<PeerSteps>> models = Map.of();
    private @Nullable PeerSteps steps;
    private int done;

    PeerServer(Peer peer) {
        this.peer = peer;
    }

    public static void main(String[] args) throws IOException {
        PROPERTIES.forEach(System::setProperty);
        Lines lines = new Lines();
        PeerServer server;
        try {
            int threads = args.length > 2 && args[1].equals("--threads")
                    ? Integer.parseInt(args[2])
                    : Runtime.getRuntime().availableProcessors();
            Peer peer = peer(args.length == 0 ? "" : args[0], threads);
            Map<String, Object> ready = new LinkedHashMap<>(Map.of("ready", true));
            ready.putAll(peer.facts());
            ready.put("java", Runtime.version().toString());
            lines.answer(ready);
            server = new PeerServer(peer);
        } catch (RuntimeException | LinkageError e) {
            fail(lines, e);
            return;
        }
        for (JsonNode command = lines.next(); command != null; command = lines.next()) {
            try {
                lines.answer(server.answer(command));
            } catch (RuntimeException | LinkageError | OutOfMemoryError e) {
                fail(lines, e);
            }
        }
        server.free();
    }

    /// PyTorch's exceptions carry a native stack trace behind their first line.
    private static void fail(Lines lines, Throwable e) {
        String message = String.valueOf(e.getMessage());
        lines.answer(Map.of(
                "error",
                e.getClass().getSimpleName() + ": "
                        + message.lines().findFirst().orElse("")));
    }

    static Peer peer(String name, int threads) {
        return switch (name) {
            case "nd4j" -> new Nd4jPeer(threads);
            case "djl" -> new DjlPeer(threads);
            case "javacpp" -> new JavaCppPeer(threads);
            default ->
                throw new IllegalArgumentException("there is no peer '" + name + "'; there are nd4j, djl, javacpp");
        };
    }

    Map<String, Object> answer(JsonNode command) {
        return switch (command.get("do").asString()) {
            case "roofline" -> Map.of();
            case "prepare" -> prepare(command.get("row"));
            case "check" -> check(kernel(command));
            case "time" -> time(kernel(command), command);
            case "start" -> start(command);
            case "run" -> run(command.get("steps").asInt());
            case "free" -> {
                free();
                yield Map.of();
            }
            default -> throw new IllegalArgumentException("unknown command " + command);
        };
    }

    private Map<String, Object> prepare(JsonNode row) {
        free();
        if (row.get("kind").asString().equals("step")) {
            models = peer.steps(StepRow.of(row));
            return Map.of("variants", List.copyOf(models.keySet()));
        }
        kernels = peer.kernels(KernelRow.of(row));
        return Map.of("variants", List.copyOf(kernels.keySet()));
    }

    private PeerKernel kernel(JsonNode command) {
        return of(kernels, command.get("variant").asString());
    }

    private static <V> V of(Map<String, V> variants, String name) {
        V variant = variants.get(name);
        if (variant == null) {
            throw new IllegalArgumentException(
                    "there is no variant '" + name + "' of the prepared row; there are " + variants.keySet());
        }
        return variant;
    }

    private static Map<String, Object> check(PeerKernel kernel) {
        kernel.reset();
        kernel.run();
        double error = kernel.row().error(kernel.outputs());
        long begin = System.nanoTime();
        while (System.nanoTime() - begin < WARM_NANOS) {
            kernel.run();
        }
        return Map.of("error_fp64", error);
    }

    private static Map<String, Object> time(PeerKernel kernel, JsonNode command) {
        if (command.path("flush_bytes").asInt() > 0) {
            throw new IllegalArgumentException("the JVM peers run on the CPU, where nothing is flushed");
        }
        int launches = command.get("launches").asInt();
        kernel.reset();
        kernel.run();
        kernel.run();
        List<Double> micros = new ArrayList<>();
        for (int i = 0; i < command.get("repetitions").asInt(); i++) {
            long begin = System.nanoTime();
            for (int n = 0; n < launches; n++) {
                kernel.run();
            }
            micros.add((System.nanoTime() - begin) / 1e3 / launches);
        }
        return Map.of("micros", micros);
    }

    private Map<String, Object> start(JsonNode command) {
        stop();
        PeerSteps started = of(models, command.get("variant").asString()).get();
        steps = started;
        return Map.of("parameters", started.parameters());
    }

    /// One step before the clock starts, as in all contenders.
    private Map<String, Object> run(int count) {
        PeerSteps running = steps;
        if (running == null) {
            throw new IllegalStateException("no model is started");
        }
        double loss = running.step();
        long begin = System.nanoTime();
        for (int i = 0; i < count; i++) {
            loss = running.step();
        }
        double micros = (System.nanoTime() - begin) / 1e3 / count;
        done += count + 1;
        return Map.of(
                "micros", micros, "loss", loss, "step", done, "peak_bytes", 0, "peak_rss_bytes", mostResidentBytes());
    }

    private static long mostResidentBytes() {
        try {
            return Files.readAllLines(Path.of("/proc/self/status")).stream()
                    .filter(line -> line.startsWith("VmHWM:"))
                    .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) * 1024)
                    .findFirst()
                    .orElse(0);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void stop() {
        if (steps != null) {
            steps.close();
            steps = null;
        }
        done = 0;
    }

    private void free() {
        stop();
        kernels.values().forEach(PeerKernel::close);
        kernels = Map.of();
        models = Map.of();
    }
}
