package io.jacquard.benchmarks;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/// Whole training steps beside PyTorch's: both run the same model in turns, a few steps each, and the medians are
/// compared.
@Command(
        name = "step-benchmark",
        mixinStandardHelpOptions = true,
        description =
                "Times training steps of Jacquard and PyTorch in turns and prints tokens/s, ratio and peak memory.")
public final class StepBenchmark implements Callable<Integer> {
    private static final JsonMapper JSON =
            JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

    @Option(names = "--model", split = ",", description = "char-gpt, gpt2-124m (default: both).")
    private List<String> models = List.of("char-gpt", "gpt2-124m");

    @Option(names = "--precision", split = ",", description = "fp32, bf16 (default: both).")
    private List<String> precisions = List.of("fp32", "bf16");

    @Option(names = "--rounds", description = "Turns of each contender (default: ${DEFAULT-VALUE}).")
    private int rounds = 5;

    @Option(names = "--steps", description = "Steps a turn (default: ${DEFAULT-VALUE}).")
    private int steps = 3;

    @Option(names = "--warmup", description = "Steps before the first turn (default: ${DEFAULT-VALUE}).")
    private int warmup = 8;

    @Option(names = "--compile", description = "Measure PyTorch with torch.compile too; the best of both counts.")
    private boolean compile;

    @Option(names = "--python", description = "The interpreter that has torch (default: ${DEFAULT-VALUE}).")
    private String python = "python3";

    @Option(names = "--script", description = "PyTorch's side (default: ${DEFAULT-VALUE}).")
    private Path script = Path.of("benchmarks/src/main/python/torch_step.py");

    @Option(names = "--out", description = "Writes the result as JSON.")
    private @Nullable Path out;

    public static void main(String[] args) {
        System.exit(new CommandLine(new StepBenchmark()).execute(args));
    }

    @Override
    public Integer call() throws IOException {
        List<Map<String, Object>> rows = new ArrayList<>();
        System.out.printf(
                "%-10s %-5s %-16s %12s %10s %10s %8s%n",
                "model", "dtype", "contender", "tokens/s", "step ms", "peak MiB", "ratio");
        for (String model : models) {
            for (String precision : precisions) {
                rows.addAll(compare(model, precision));
            }
        }
        System.out.println(
                "ratio: Jacquard's tokens/s over the contender's. bf16: PyTorch's autocast keeps fp32 weights; "
                        + "Jacquard's are bf16 with an fp32 master.");
        if (out != null) {
            Map<String, Object> result = new LinkedHashMap<>();
            result.put("benchmark", "step");
            result.put("date", Instant.now().toString());
            result.put("commit", output("git", "rev-parse", "--short", "HEAD"));
            result.put("cpu", cpu());
            result.put("processors", Runtime.getRuntime().availableProcessors());
            result.put("java", Runtime.version().toString());
            result.put("rounds", rounds);
            result.put("steps", steps);
            result.put("rows", rows);
            Files.writeString(out, JSON.writeValueAsString(result) + "\n");
        }
        return 0;
    }

    private List<Map<String, Object>> compare(String model, String precision) throws IOException {
        List<Contender> contenders = new ArrayList<>();
        try {
            contenders.add(new Contender("jacquard", java(model, precision)));
            contenders.add(new Contender("torch eager", torch(model, precision)));
            if (compile) {
                List<String> command = torch(model, precision);
                command.add("--compile");
                contenders.add(new Contender("torch compiled", command));
            }
            for (Contender c : contenders) {
                c.ask("warmup " + warmup);
            }
            for (int r = 0; r < rounds; r++) {
                for (Contender c : contenders) {
                    c.run(steps);
                }
            }
            return report(model, precision, contenders);
        } finally {
            contenders.forEach(Contender::close);
        }
    }

    private List<Map<String, Object>> report(String model, String precision, List<Contender> contenders) {
        int tokens = StepServer.batch(model) * StepServer.config(model).context();
        double ours = contenders.getFirst().medianMillis();
        List<Map<String, Object>> rows = new ArrayList<>();
        for (Contender c : contenders) {
            double ms = c.medianMillis();
            Map<String, Object> row = new LinkedHashMap<>();
            row.put("model", model);
            row.put("precision", precision);
            row.put("contender", c.name);
            row.put("tokens_per_second", tokens / ms * 1000);
            row.put("step_ms_median", ms);
            row.put("step_ms", c.millis);
            row.put("peak_rss_bytes", c.peakBytes);
            row.put("jacquard_ratio", ms / ours);
            row.put("last_loss", c.lastLoss);
            rows.add(row);
            System.out.printf(
                    Locale.ROOT,
                    "%-10s %-5s %-16s %12.0f %10.1f %10.0f %8.2f%n",
                    model,
                    precision,
                    c.name,
                    tokens / ms * 1000,
                    ms,
                    c.peakBytes / 1048576.0,
                    ms / ours);
        }
        return rows;
    }

    private static List<String> java(String model, String precision) {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-Xmx512m"));
        command.addAll(
                List.of("-cp", System.getProperty("java.class.path"), StepServer.class.getName(), model, precision));
        return command;
    }

    private List<String> torch(String model, String precision) {
        return new ArrayList<>(List.of(python, script.toString(), "--model", model, "--precision", precision));
    }

    private static String cpu() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/cpuinfo"))) {
            if (line.startsWith("model name")) {
                return line.substring(line.indexOf(':') + 1).strip();
            }
        }
        return "unknown";
    }

    private static String output(String... command) throws IOException {
        Process p = new ProcessBuilder(command).redirectErrorStream(true).start();
        return new String(p.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    }

    /// A process that answers `warmup N` and `run N` with one line of JSON each.
    private static final class Contender implements AutoCloseable {
        final String name;
        final List<Double> millis = new ArrayList<>();
        long peakBytes;
        double lastLoss;
        private final Process process;
        private final PrintStream to;
        private final BufferedReader from;

        Contender(String name, List<String> command) throws IOException {
            this.name = name;
            process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            to = new PrintStream(process.getOutputStream(), true, StandardCharsets.UTF_8);
            from = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
            read();
        }

        JsonNode ask(String line) throws IOException {
            to.println(line);
            return read();
        }

        private JsonNode read() throws IOException {
            String answer = from.readLine();
            if (answer == null) {
                throw new IOException(name + " ended without an answer; run its command by hand to see why: "
                        + process.info().commandLine().orElse("unknown"));
            }
            JsonNode node = JSON.readTree(answer);
            if (node.has("error")) {
                throw new IOException(name + ": " + node.get("error").asString());
            }
            return node;
        }

        void run(int steps) throws IOException {
            JsonNode answer = ask("run " + steps);
            answer.get("step_ms").forEach(n -> millis.add(n.asDouble()));
            answer.get("losses").forEach(n -> lastLoss = n.asDouble());
            peakBytes = answer.get("peak_rss_bytes").asLong();
        }

        double medianMillis() {
            double[] sorted =
                    millis.stream().mapToDouble(Double::doubleValue).sorted().toArray();
            int n = sorted.length;
            return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
        }

        @Override
        public void close() {
            to.println("quit");
            to.close();
            process.destroy();
        }
    }
}
