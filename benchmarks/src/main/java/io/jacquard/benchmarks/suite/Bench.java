package io.jacquard.benchmarks.suite;

import java.io.IOException;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import tools.jackson.databind.JsonNode;

/// Every hot kernel and whole steps beside PyTorch in one run, in turns: a table on the terminal and a record.
@Command(
        name = "gpu-bench",
        mixinStandardHelpOptions = true,
        sortOptions = false,
        description = {
            "Times hot kernels and training steps of Jacquard and PyTorch in turns, each checked against doubles first.",
            "Writes a record after every row, so that a run that is cut off loses nothing.",
            "Exit code: 0, 1 where a row of ours is wrong or failed, 2 where it could not start."
        })
public final class Bench implements Callable<Integer> {
    @Option(names = "--device", description = "cuda, cuda:1, cpu ... (default: ${DEFAULT-VALUE}).")
    private String device = "cuda";

    @Option(names = "--scale", description = "Shapes: gpu, cpu or tiny (default: by the device).")
    private Rows.@Nullable Scale scale;

    @Option(names = "--dtype", description = "bf16 or f32 (default: bf16, on the CPU f32).")
    private @Nullable String dtype;

    @Option(names = "--only", description = "Rows whose name has this regular expression in it.")
    private @Nullable Pattern only;

    @Option(names = "--budget", description = "Stop after this time, such as 90s or 8m.")
    private @Nullable String budget;

    @Option(names = "--quick", description = "Fewer turns: 2 of 3 times each instead of 5 of 6.")
    private boolean quick;

    @Option(names = "--python", description = "The interpreter that has torch (default: ${DEFAULT-VALUE}).")
    private String python = "python3";

    @Option(names = "--no-peer", description = "Ours alone.")
    private boolean noPeer;

    @Option(names = "--no-compile", description = "Without torch.compile, which takes most of the time of a run.")
    private boolean noCompile;

    @Option(names = "--out", description = "The record (default: gpu-bench-DATE.json here).")
    private @Nullable Path out;

    @Option(names = "--list", description = "Print the names of the rows and end.")
    private boolean list;

    @Spec
    private @Nullable CommandSpec spec;

    private int wrong;

    public static void main(String[] args) {
        System.exit(commandLine().execute(args));
    }

    static CommandLine commandLine() {
        return new CommandLine(new Bench()).setCaseInsensitiveEnumValuesAllowed(true);
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
        try (Contenders contenders =
                new Contenders(device, python, !noCompile, noPeer ? "not wanted: --no-peer" : null)) {
            Contender ours;
            try {
                ours = contenders.ours();
            } catch (IOException e) {
                System.err.println("gpu-bench: " + Turns.words(e));
                return 2;
            }
            boolean emulated = ours.ready().get("device").asString().contains("emulated driver");
            Rows.Scale shapes =
                    scale != null ? scale : emulated ? Rows.Scale.TINY : cuda ? Rows.Scale.GPU : Rows.Scale.CPU;
            BenchRecord record = record(contenders, floats);
            record.put("machine", emulated ? "emulated" : cuda ? "gpu" : "cpu");
            run(contenders, rows(shapes, floats), turns(cuda && !emulated), record);
        }
        return wrong == 0 ? 0 : 1;
    }

    private List<Row> rows(Rows.Scale shapes, String floats) {
        if (!List.of("bf16", "f32", "f16").contains(floats)) {
            throw new IllegalArgumentException("--dtype " + floats + ": there are bf16, f16 and f32");
        }
        Pattern wanted = only;
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
        return quick ? new Turns(2, 3, gpu ? 5 : 2, deadline, gpu) : new Turns(5, 6, gpu ? 10 : 3, deadline, gpu);
    }

    private BenchRecord record(Contenders contenders, String floats) throws IOException {
        String date = DateTimeFormatter.ofPattern("yyyy-MM-dd-HHmm").format(LocalDateTime.now(ZoneOffset.UTC));
        Path file = out == null ? Path.of("gpu-bench-" + date + ".json") : out;
        List<String> command = new ArrayList<>(List.of("gpu-bench"));
        if (spec != null) {
            command.addAll(spec.commandLine().getParseResult().originalArgs());
        }
        BenchRecord record = new BenchRecord(BenchRecord.BENCHMARK, file, command);
        Contender ours = contenders.ours();
        record.put("device", ours.ready().get("device"));
        record.put("memory_bytes", ours.ready().get("memory_bytes"));
        Map<String, Object> about = new LinkedHashMap<>();
        Contender peer = contenders.peer();
        about.put("present", peer != null);
        if (peer == null) {
            about.put("why", String.valueOf(contenders.peerMissing()));
            System.err.println("gpu-bench: no peer: " + contenders.peerMissing());
        } else {
            peer.ready().properties().stream()
                    .filter(e -> !e.getKey().equals("ready"))
                    .forEach(e -> about.put(e.getKey(), e.getValue()));
        }
        record.put("peer", about);
        record.put("dtype", floats);
        return record;
    }

    private void run(Contenders contenders, List<Row> rows, Turns turns, BenchRecord record) throws IOException {
        record.put(
                "protocol",
                Map.of(
                        "rounds", turns.rounds(),
                        "repetitions", turns.repetitions(),
                        "steps", turns.steps(),
                        "clock", device.startsWith("cuda") ? "events of the device; steps: wall" : "wall"));
        Rates rates = rates(contenders, turns, rows);
        record.put("roofline", rates.values());
        record.write(false);
        System.out.println("roofline: " + rates.values());
        Table table = new Table(System.out);
        table.head();
        for (Row row : rows) {
            if (turns.isOver()) {
                record.skip(row.name());
                continue;
            }
            Map<String, @Nullable Object> result = measure(contenders, row, turns, rates);
            if (result.get("why") != null) {
                wrong++;
            }
            record.add(result);
            table.row(result);
        }
        record.write(true);
        System.out.println("time is us a run; ratio: the best peer's time over ours; roof: of the measured roofline;"
                + " error: the largest, against doubles.");
    }

    private Rates rates(Contenders contenders, Turns turns, List<Row> rows) throws IOException {
        Map<String, Object> command = Turns.command(
                "roofline", "dtypes", rows.stream().map(Row::dtype).distinct().toList());
        JsonNode mine = contenders.ours().ask(command, turns.patience());
        Contender peer = contenders.peer();
        if (peer == null || !turns.gpu() && !device.equals("cpu")) {
            return Rates.best(mine, null);
        }
        return Rates.best(mine, peer.ask(command, turns.patience()));
    }

    private Map<String, @Nullable Object> measure(Contenders contenders, Row row, Turns turns, Rates rates) {
        Result result = new Result(row, rates, turns.gpu());
        try {
            if (row.isStep()) {
                try (Contender steps = contenders.steps(row)) {
                    new StepTurns(turns, steps, contenders.peer(), row, result).run();
                }
            } else {
                new KernelTurns(turns, contenders.ours(), contenders.peer(), row, result).run();
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
