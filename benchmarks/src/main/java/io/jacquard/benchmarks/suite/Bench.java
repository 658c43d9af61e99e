package io.jacquard.benchmarks.suite;

import io.jacquard.benchmarks.report.Comparison;
import io.jacquard.benchmarks.report.Report;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Roofline;
import io.jacquard.tensor.Session;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/// Every hot kernel and whole steps beside their peers in one run, in turns: a table on the terminal and a record.
@Command(
        name = "bench",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        description = {
            "Times kernels and training steps of Jacquard and of its peers in turns, each checked against doubles first.",
            "Ours are timed by JMH, each turn in a JVM of its own; peers are PyTorch and, on the CPU, ND4J, DJL and"
                    + " JavaCPP's PyTorch.",
            "Writes a record after every row, so that a run that is cut off loses nothing.",
            "Exit code: 0; 1 where a row of ours is wrong or failed; 2 where it could not start; 3 where --compare finds"
                    + " a row that is slower, beyond the noise."
        })
public final class Bench implements Callable<Integer> {
    @Option(names = "--device", description = "cpu, cuda, cuda:1 ... (default: ${DEFAULT-VALUE}).")
    private String device = "cpu";

    @Option(names = "--filter", description = "Rows whose name has this regular expression in it.")
    private @Nullable Pattern filter;

    @Option(names = "--dtype", description = "bf16, f16 or f32 (default: f32, on a GPU bf16).")
    private @Nullable String dtype;

    @Option(names = "--scale", description = "Shapes: gpu, cpu or tiny (default: by the device).")
    private Rows.@Nullable Scale scale;

    @Option(
            names = "--peers",
            split = ",",
            description = "Of pytorch, nd4j, djl, javacpp; or none (default: all that are here; on a GPU pytorch).")
    private @Nullable List<String> peers;

    @Option(names = "--python", description = "The interpreter that has torch (default: ${DEFAULT-VALUE}).")
    private String python = "python3";

    @Option(names = "--no-compile", description = "Without torch.compile, which takes most of the time of a run.")
    private boolean noCompile;

    @Option(names = "--quick", description = "Two turns of three short iterations instead of three of five.")
    private boolean quick;

    @Option(names = "--budget", description = "Stop after this time, such as 90s or 8m.")
    private @Nullable String budget;

    @Option(names = "--out", description = "The record (default: bench-DATE.json here).")
    private @Nullable Path out;

    @Option(names = "--result", description = "A record to compare or to report, instead of a run.")
    private @Nullable Path result;

    @Option(
            names = "--compare",
            paramLabel = "RECORD",
            description = "An earlier record: what has become slower since?")
    private @Nullable Path compare;

    @Option(
            names = "--threshold",
            description = "The change in per cent that runs differ by anyway (default: ${DEFAULT-VALUE}).")
    private double threshold = 100 * Comparison.THRESHOLD;

    @Option(
            names = "--report",
            paramLabel = "DIRECTORY",
            description = "Write index.html there: tables and charts that need no network.")
    private @Nullable Path report;

    @Option(
            names = "--history",
            paramLabel = "DIRECTORY",
            description = "Older records for the report (default: ${DEFAULT-VALUE}, where it is).")
    private Path history = Path.of("benchmarks/results");

    @Option(names = "--list", description = "Print the names of the rows and end.")
    private boolean list;

    @Spec
    private @Nullable CommandSpec spec;

    private final Path locks;
    private int wrong;

    /// @param locks the directory where benches that would time each other meet
    private Bench(Path locks) {
        this.locks = locks;
    }

    public static void main(String[] args) {
        System.exit(commandLine().execute(args));
    }

    static CommandLine commandLine() {
        return commandLine(Path.of(System.getProperty("java.io.tmpdir")));
    }

    static CommandLine commandLine(Path locks) {
        return new CommandLine(new Bench(locks))
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setOverwrittenOptionsAllowed(true) // gpu-bench of a bundle names a device
                .setExecutionExceptionHandler((e, command, _) -> {
                    if (!(e instanceof IllegalArgumentException)) {
                        throw e;
                    }
                    command.getErr().println(Turns.words(e));
                    return 2;
                });
    }

    @Override
    public Integer call() throws IOException {
        boolean cuda = device.startsWith("cuda");
        String floats = dtype == null ? cuda ? "bf16" : "f32" : dtype;
        if (list) {
            rows(scale == null ? cuda ? Rows.Scale.GPU : Rows.Scale.CPU : scale, floats)
                    .forEach(r -> System.out.println(r.name()));
            return 0;
        }
        if (result != null) {
            return conclude(read(result));
        }
        if (compare != null) {
            read(compare); // a wrong name costs no minutes
        }
        String described;
        long memory;
        try (Session s = Session.open(device)) {
            described = s.backend().description();
            memory = s.backend().memoryBytes();
        } catch (RuntimeException | LinkageError e) {
            System.err.println("bench: " + Turns.words(e));
            return 2;
        }
        boolean emulated = described.contains("emulated driver");
        Rows.Scale shapes = scale != null ? scale : emulated ? Rows.Scale.TINY : cuda ? Rows.Scale.GPU : Rows.Scale.CPU;
        try (var _ = OneAtATime.enter(locks);
                Contenders contenders = new Contenders(device, python, !noCompile, wanted(cuda))) {
            BenchRecord record = record(contenders, floats);
            record.put("device", described);
            record.put("memory_bytes", memory);
            record.put("machine", emulated ? "emulated" : cuda ? "gpu" : "cpu");
            run(contenders, rows(shapes, floats), turns(cuda && !emulated), goals(shapes, cuda, emulated), record);
            int end = conclude(record.json());
            return wrong == 0 ? end : 1;
        }
    }

    /// A shape's goals are those of its kind of device.
    private static Rows.Scale goals(Rows.Scale shapes, boolean cuda, boolean emulated) {
        return cuda == (shapes == Rows.Scale.GPU) && !emulated ? shapes : Rows.Scale.TINY;
    }

    /// Compares and reports, as was asked.
    private int conclude(JsonNode record) throws IOException {
        Comparison comparison = compare == null ? null : Comparison.of(read(compare), record, threshold / 100);
        if (comparison != null) {
            System.out.println();
            System.out.print(comparison.text());
        }
        if (report != null) {
            List<JsonNode> older = new ArrayList<>();
            if (Files.isDirectory(history)) {
                try (Stream<Path> files = Files.list(history)) {
                    for (Path file : files.filter(f -> f.toString().endsWith(".json"))
                            .sorted()
                            .toList()) {
                        older.add(read(file));
                    }
                }
            }
            System.out.println("report: " + Report.write(report, older, record, comparison));
        }
        return comparison != null && comparison.slower() ? 3 : 0;
    }

    private static JsonNode read(Path file) throws IOException {
        if (!Files.isRegularFile(file)) {
            throw new IllegalArgumentException(file + ": no such record; bench --out FILE writes one");
        }
        try {
            return Lines.JSON.readTree(Files.readString(file));
        } catch (JacksonException e) {
            throw new IllegalArgumentException(file + ": is no record: " + e.getOriginalMessage(), e);
        }
    }

    private List<String> wanted(boolean cuda) {
        if (peers != null) {
            return peers.subList(peers.lastIndexOf("none") + 1, peers.size()); // a later --peers adds to an earlier one
        }
        List<String> all = new ArrayList<>(List.of(Contenders.PYTORCH));
        if (!cuda && System.getProperty(Contenders.PEERS) != null) {
            all.addAll(Contenders.JVM_PEERS);
        }
        return all;
    }

    private List<Row> rows(Rows.Scale shapes, String floats) {
        if (!List.of("bf16", "f32", "f16").contains(floats)) {
            throw new IllegalArgumentException("--dtype " + floats + ": there are bf16, f16 and f32");
        }
        Pattern wanted = filter;
        return Rows.of(shapes, floats).stream()
                .filter(r -> wanted == null || wanted.matcher(r.name()).find())
                .toList();
    }

    private Turns turns(boolean gpu) {
        long deadline = Long.MAX_VALUE;
        if (budget != null) {
            if (!budget.matches("\\d+[sm]")) {
                throw new IllegalArgumentException("--budget " + budget + ": expected seconds or minutes: 90s, 8m");
            }
            long seconds = Long.parseLong(budget.substring(0, budget.length() - 1)) * (budget.endsWith("m") ? 60 : 1);
            deadline = System.nanoTime() + seconds * 1_000_000_000L;
        }
        return quick
                ? new Turns(2, 1000, 3, 100, gpu ? 5 : 2, deadline, gpu)
                : new Turns(3, 2000, 5, 200, gpu ? 10 : 3, deadline, gpu);
    }

    private BenchRecord record(Contenders contenders, String floats) throws IOException {
        String date = DateTimeFormatter.ofPattern("yyyy-MM-dd-HHmm").format(LocalDateTime.now(ZoneOffset.UTC));
        Path file = out == null ? Path.of("bench-" + date + ".json") : out;
        List<String> arguments =
                spec == null ? List.of() : spec.commandLine().getParseResult().originalArgs();
        BenchRecord record = new BenchRecord(BenchRecord.BENCHMARK, file, BenchRecord.command("bench", arguments));
        Map<String, Object> all = new LinkedHashMap<>();
        for (String name : contenders.peers()) {
            Map<String, Object> about = new LinkedHashMap<>();
            Contender peer = contenders.peer(name);
            about.put("present", peer != null);
            if (peer == null) {
                about.put("why", contenders.missing(name));
                System.err.println("bench: without " + name + ": " + contenders.missing(name));
            } else {
                peer.ready().properties().stream()
                        .filter(e -> !e.getKey().equals("ready"))
                        .forEach(e -> about.put(e.getKey(), e.getValue()));
            }
            all.put(name, about);
        }
        record.put("contenders", all);
        record.put("dtype", floats);
        return record;
    }

    private void run(Contenders contenders, List<Row> rows, Turns turns, Rows.Scale goals, BenchRecord record)
            throws IOException {
        Map<String, Object> protocol = new LinkedHashMap<>();
        protocol.put("rounds", turns.rounds());
        protocol.put("warm_up_millis", turns.warmUpMillis());
        protocol.put("repetitions", turns.repetitions());
        protocol.put("millis", turns.millis());
        protocol.put("steps", turns.steps());
        protocol.put("clock", turns.gpu() ? "events of the device; steps: wall" : "wall");
        record.put("protocol", protocol);
        Rates rates = rates(contenders, turns, rows);
        record.put("roofline", rates.values());
        record.write(false);
        System.out.println("roofline: " + rates.values());
        Table table = new Table(System.out, contenders.peers());
        table.head();
        for (Row row : rows) {
            if (turns.isOver()) {
                record.skip(row.name());
                continue;
            }
            Map<String, @Nullable Object> result = measure(contenders, row, turns, rates, goals);
            if (result.get("why") != null) {
                wrong++;
            }
            record.add(result);
            table.row(result);
        }
        record.put("geometric_means", table.end());
        table.skipped(record.skipped());
        record.write(true);
    }

    /// A copy and matrix products first, by us and, on the same device, by PyTorch.
    private Rates rates(Contenders contenders, Turns turns, List<Row> rows) throws IOException {
        List<String> dtypes = rows.stream().map(Row::dtype).distinct().toList();
        Roofline roofline = Roofline.of(device);
        Map<String, Double> mine = new LinkedHashMap<>();
        mine.put("gigabytes_per_second", roofline.gigabytesPerSecond());
        for (String floats : dtypes) {
            mine.put("teraflops_" + floats, roofline.teraflops(DType.valueOf(floats.toUpperCase(Locale.ROOT))));
        }
        Contender peer = contenders.peers().contains(Contenders.PYTORCH) ? contenders.peer(Contenders.PYTORCH) : null;
        if (peer == null || !turns.gpu() && !device.equals("cpu")) {
            return Rates.best(mine, null);
        }
        return Rates.best(mine, peer.ask(Turns.command("roofline", "dtypes", dtypes), turns.patience()));
    }

    private Map<String, @Nullable Object> measure(
            Contenders contenders, Row row, Turns turns, Rates rates, Rows.Scale goals) {
        Result result = new Result(row, rates, goals);
        try {
            if (row.isStep()) {
                try (Contender steps = contenders.steps(row)) {
                    new StepTurns(turns, steps, contenders, row, result).run();
                }
            } else {
                new KernelTurns(turns, contenders, row, result).run();
            }
        } catch (IOException e) {
            result.end(Result.FAILED, Turns.words(e));
        }
        if (turns.gpu()) {
            result.put("gpu_after", Machine.gpuState(device));
        }
        return result.finish();
    }
}
