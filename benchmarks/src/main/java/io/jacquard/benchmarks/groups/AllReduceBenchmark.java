package io.jacquard.benchmarks.groups;

import io.jacquard.benchmarks.suite.BenchRecord;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Bandwidth of an all-reduce between processes: `MpiGroup` beside `MPI_Allreduce` of the same library called from C,
/// in turns. Bus bandwidth is 2 (n - 1) / n times the bytes over the time of the slowest rank.
public final class AllReduceBenchmark {
    private static final long[] BYTES = {8, 1 << 16, 1 << 20, 16 << 20, 64 << 20};

    private final List<String> arguments;
    private final Map<String, String> options =
            new LinkedHashMap<>(Map.of("launchers", "openmpi,mpich", "ranks", "2", "rounds", "3", "repetitions", "15"));
    private final List<Map<String, @Nullable Object>> rows = new ArrayList<>();

    private AllReduceBenchmark(String[] args) {
        arguments = List.of(args);
        for (int i = 0; i + 1 < args.length; i += 2) {
            options.put(args[i].substring(2), args[i + 1]);
        }
    }

    /// `[--launchers openmpi,mpich] [--ranks 2,4] [--rounds 3] [--repetitions 15] [--source allreduce.c] [--out
    /// FILE]`
    public static void main(String[] args) throws IOException, InterruptedException {
        new AllReduceBenchmark(args).run();
    }

    private String option(String name) {
        return String.valueOf(options.get(name));
    }

    private void run() throws IOException, InterruptedException {
        for (String launcher : option("launchers").split(",", -1)) {
            Path program = Files.createTempFile("allreduce", "." + launcher);
            output("mpicc." + launcher, "-O3", "-o", program.toString(), option("source"));
            for (String ranks : option("ranks").split(",", -1)) {
                compare(launcher, Integer.parseInt(ranks), program);
            }
            Files.delete(program);
        }
        if (options.containsKey("out")) {
            BenchRecord record = new BenchRecord(
                    "all-reduce", Path.of(option("out")), BenchRecord.command("allreduce-benchmark", arguments));
            for (Map<String, @Nullable Object> row : rows) {
                record.add(row);
            }
            record.write(true);
        }
    }

    /// The contenders take turns, so that both see the same machine; the best time of each counts, which other work
    /// on it disturbs least.
    private void compare(String launcher, int ranks, Path program) throws IOException, InterruptedException {
        Map<Long, List<Double>> ours = empty();
        Map<Long, List<Double>> peer = empty();
        String library = "";
        for (int round = 0; round < Integer.parseInt(option("rounds")); round++) {
            String printed = ranks(launcher, ranks, java("F32"));
            library = printed.lines()
                    .filter(l -> l.startsWith("library: "))
                    .findFirst()
                    .orElse("")
                    .replace("library: ", "");
            take(ours, printed);
            take(peer, ranks(launcher, ranks, c(program)));
        }
        System.out.println(library + ", " + ranks + " ranks");
        for (long bytes : BYTES) {
            row(library, ranks, bytes, ours.getOrDefault(bytes, List.of()), peer.getOrDefault(bytes, List.of()));
        }
    }

    private static Map<Long, List<Double>> empty() {
        return new LinkedHashMap<>();
    }

    private void row(String library, int ranks, long bytes, List<Double> ours, List<Double> peer) {
        double best = Collections.min(ours);
        double other = Collections.min(peer);
        double bus = 2.0 * (ranks - 1) / ranks * bytes / 1e3;
        Map<String, @Nullable Object> row = new LinkedHashMap<>();
        row.put("library", library);
        row.put("ranks", ranks);
        row.put("bytes", bytes);
        row.put("micros", best);
        row.put("peer_micros", other);
        row.put("bus_gigabytes_per_second", bus / best);
        row.put("peer_bus_gigabytes_per_second", bus / other);
        row.put("ratio", other / best);
        row.put("all_micros", ours);
        row.put("all_peer_micros", peer);
        rows.add(row);
        System.out.printf(
                Locale.ROOT,
                "%10d bytes: %10.1f us %6.2f GB/s, from C %10.1f us %6.2f GB/s, ratio %.2f%n",
                bytes,
                best,
                bus / best,
                other,
                bus / other,
                other / best);
    }

    private static void take(Map<Long, List<Double>> times, String output) {
        for (String line : output.lines().filter(l -> l.startsWith("size ")).toList()) {
            int colon = line.indexOf(':');
            List<Double> all = times.computeIfAbsent(Long.valueOf(line.substring(5, colon)), _ -> new ArrayList<>());
            Arrays.stream(line.substring(colon + 1).strip().split(" ", -1))
                    .map(Double::valueOf)
                    .forEach(all::add);
        }
    }

    private List<String> java(String dtype) {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-cp",
                System.getProperty("java.class.path"),
                AllReduceRank.class.getName(),
                dtype));
        return sizes(command);
    }

    private List<String> c(Path program) {
        return sizes(new ArrayList<>(List.of(program.toString())));
    }

    private List<String> sizes(List<String> command) {
        command.add(option("repetitions"));
        for (long bytes : BYTES) {
            command.add(Long.toString(bytes));
        }
        return command;
    }

    private static String ranks(String launcher, int ranks, List<String> command)
            throws IOException, InterruptedException {
        List<String> all = new ArrayList<>(List.of("mpirun." + launcher, "-n", Integer.toString(ranks)));
        if (launcher.equals("openmpi")) {
            all.addAll(List.of("--oversubscribe", "--allow-run-as-root"));
        }
        all.addAll(command);
        return output(all.toArray(String[]::new));
    }

    private static String output(String... command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new IllegalStateException(String.join(" ", command) + " ended with " + process.exitValue());
        }
        return text;
    }
}
