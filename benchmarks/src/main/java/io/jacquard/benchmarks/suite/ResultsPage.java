package io.jacquard.benchmarks.suite;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/// `docs/results.md`, and the sentence of the README, from all records under `benchmarks/results`.
public final class ResultsPage {
    private static final String BEGIN = "<!-- figures: written by benchmarks/results-page -->\n";
    private static final String END = "<!-- end of figures -->\n";

    private final Path root;
    private final List<Source> sources = new ArrayList<>();
    private final StringBuilder page = new StringBuilder();

    /// A record and its file.
    private record Source(Path file, JsonNode record) {
        boolean is(String benchmark) {
            return record.path("benchmark").asString("").equals(benchmark);
        }

        boolean onGpu() {
            return is(BenchRecord.BENCHMARK)
                    && record.path("machine").asString("").equals("gpu");
        }

        boolean onCpu() {
            return is(BenchRecord.BENCHMARK)
                    && record.path("machine").asString("").equals("cpu");
        }

        List<StepFigures> steps() {
            return onCpu() ? StepFigures.of(record) : List.of();
        }

        String time() {
            return record.path("date").asString(record.path("started").asString("0000-00-00"));
        }

        String date() {
            return time().substring(0, 10);
        }

        String origin() {
            return date() + ", commit " + record.path("commit").asString("?") + ", [`" + file.getFileName()
                    + "`](../benchmarks/results/" + file.getFileName() + ")";
        }
    }

    ResultsPage(Path root) throws IOException {
        this.root = root;
        try (Stream<Path> files = Files.list(root.resolve("benchmarks/results"))) {
            for (Path file :
                    files.filter(f -> f.toString().endsWith(".json")).sorted().toList()) {
                sources.add(new Source(file, Lines.JSON.readTree(Files.readString(file))));
            }
        }
        sources.sort(Comparator.comparing(Source::time).reversed());
    }

    /// `[ROOT]`: writes both files.
    public static void main(String[] args) throws IOException {
        Path root = Path.of(args.length > 0 ? args[0] : ".");
        ResultsPage page = new ResultsPage(root);
        Files.writeString(root.resolve("docs/results.md"), page.text());
        Files.writeString(root.resolve("README.md"), page.readme());
    }

    /// The page.
    String text() throws IOException {
        page.setLength(0);
        page.append("""
                # Results

                Written by `./benchmarks/results-page` from the records under
                [`benchmarks/results`](../benchmarks/results/README.md), which explains their format; a test fails when
                this page is not what they say. A ratio is a peer's time over ours, in one run, contenders taking turns:
                above 1 we are faster. The peer is the best PyTorch beside training steps, whom it names beside a goal,
                and the fastest of all peers in the table of a record.

                """);
        gpu();
        stepsOnCpu();
        allReduces();
        scaling();
        pipelines();
        precisions();
        for (Source s : sources) {
            if (s.is(BenchRecord.BENCHMARK) && (s.onGpu() || s.onCpu())) {
                rows(s);
            }
        }
        return page.toString();
    }

    private void gpu() {
        page.append("## On a GPU\n\n");
        if (sources.stream().noneMatch(Source::onGpu)) {
            page.append("""
                    **Nothing has run on a GPU yet.** The CUDA kernels, and whole training runs on them, are right on
                    the emulated device; how fast they are on a real one nobody knows. `./jacquard bench --device cuda`
                    measures it where there is one; these are its goals:

                    """);
        }
        goals(Rows.Scale.GPU, "bf16");
        for (Source s : sources) {
            if (s.record.path("record").asString("").equals("gpu-check")) {
                page.append("- gpu-check of %s: %s%s, [`%s`](../benchmarks/results/%s)%n%n"
                        .formatted(
                                s.date(),
                                s.record.path("passed").asBoolean(false) ? "passed" : "**failed**",
                                s.record.path("complete").asBoolean(false) ? "" : " (not all of it)",
                                s.file.getFileName(),
                                s.file.getFileName()));
            }
        }
    }

    private void heading(String names) {
        page.append("| ").append(names).append(" |\n|");
        page.repeat(" --- |", names.split("[|]", -1).length).append('\n');
    }

    private void goals(Rows.Scale scale, String... dtypes) {
        heading("what | against | goal | reached | measured");
        for (Goal goal : Goal.all()) {
            for (String dtype : dtypes) {
                for (Row row : Rows.of(scale, dtype)) {
                    if (goal.scale() == scale && goal.isFor(row.name())) {
                        goal(goal, row.name());
                    }
                }
            }
        }
        page.append('\n');
    }

    private void goal(Goal goal, String name) {
        String against = goal.words();
        String reached = "not run";
        String origin = "";
        for (Source s : sources) {
            boolean there = goal.scale() == Rows.Scale.GPU ? s.onGpu() : s.onCpu();
            JsonNode row = there ? named(s.record, name) : null;
            double ratio = row == null ? Double.NaN : reached(goal, row);
            if (row != null && !Double.isNaN(ratio)) {
                boolean good = goal.memory() ? ratio <= goal.ratio() : ratio >= goal.ratio();
                against += wasNotCompiled(goal, row) ? " (eager only)" : "";
                reached = number(ratio) + (good ? "" : ", **missed**");
                origin = s.origin();
                break;
            }
        }
        page.append("| %s%s | %s | %s%s | %s | %s |%n"
                .formatted(
                        name,
                        goal.memory() ? ": peak memory" : "",
                        against,
                        goal.memory() ? "at most " : "",
                        number(goal.ratio()),
                        reached,
                        origin));
    }

    /// NaN where the record does not say.
    private static double reached(Goal goal, JsonNode row) {
        if (goal.memory()) {
            return row.path("memory_ratio").asDouble(Double.NaN);
        }
        double best = row.path("peers").properties().stream()
                .filter(p -> goal.countsAgainst(p.getKey()))
                .mapToDouble(p -> p.getValue().path("micros").asDouble(Double.NaN))
                .filter(Double::isFinite)
                .min()
                .orElse(Double.NaN);
        return best / row.path("micros").asDouble(Double.NaN);
    }

    /// Whether PyTorch could have been compiled for this row, and no time of it says that it was. Attention has its
    /// backends instead.
    private static boolean wasNotCompiled(Goal goal, JsonNode row) {
        String compiled = "pytorch compile";
        return goal.countsAgainst(compiled)
                && row.path("peers").has("pytorch eager")
                && !row.path("peers").path(compiled).has("micros");
    }

    private static @Nullable JsonNode named(JsonNode record, String name) {
        for (JsonNode row : record.path("rows")) {
            if (row.path("name").asString("").equals(name)) {
                return row;
            }
        }
        return null;
    }

    private void stepsOnCpu() throws IOException {
        page.append("## Training steps on a CPU\n\n");
        page.append("""
                Forward, cross entropy, backward, clipping, AdamW; tokens per second, from medians. In bf16, PyTorch's
                autocast keeps F32 weights; Jacquard's are bf16 with an F32 master. Peak memory is the process's largest
                resident set.

                """);
        heading("model | dtype | Jacquard | PyTorch eager | compiled | ratio to the better | DJL | JavaCPP | ND4J"
                + " | peak MiB: Jacquard, eager, compiled | measured");
        for (Source s : sources) {
            for (StepFigures step : s.steps()) {
                page.append("| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s, %s, %s | %s |%n"
                        .formatted(
                                step.model(),
                                step.precision(),
                                step.rate("jacquard"),
                                step.rate("torch eager"),
                                step.rate("torch compiled"),
                                number(step.ratio()),
                                step.rate("djl"),
                                step.rate("javacpp"),
                                step.rate("nd4j"),
                                step.memory("jacquard"),
                                step.memory("torch eager"),
                                step.memory("torch compiled"),
                                s.origin() + ", " + machine(s)));
            }
        }
        page.append('\n');
        page.append("The goals. What the records say about those that are missed stands below, with each.\n\n");
        goals(Rows.Scale.CPU, "f32", "bf16");
    }

    private void allReduces() throws IOException {
        List<Source> records = sources.stream().filter(s -> s.is("all-reduce")).toList();
        if (records.isEmpty()) {
            return;
        }
        page.append("## All-reduce between processes\n\n");
        page.append("""
                `MpiGroup` beside `MPI_Allreduce` of the same library called from C, F32, in turns, the best of all
                repetitions. Bus bandwidth: 2 (n - 1) / n times the bytes over the slowest rank's time.

                """);
        for (Source s : records) {
            page.append(s.origin() + ", " + machine(s) + ".\n\n");
            heading("library | ranks | bytes | us | GB/s | from C: us | GB/s | ratio");
            for (JsonNode row : s.record.path("rows")) {
                page.append("| %s | %s | %s | %s | %s | %s | %s | %s |%n"
                        .formatted(
                                row.path("library").asString("").replaceAll("(,|:? ?\\)).*", ")"),
                                row.path("ranks").asInt(0),
                                row.path("bytes").asLong(0),
                                number(row.path("micros")),
                                number(row.path("bus_gigabytes_per_second")),
                                number(row.path("peer_micros")),
                                number(row.path("peer_bus_gigabytes_per_second")),
                                number(row.path("ratio"))));
            }
            page.append('\n');
            remarks(s);
        }
    }

    private void scaling() throws IOException {
        List<Source> records = sources.stream().filter(s -> s.is("scaling")).toList();
        if (records.isEmpty()) {
            return;
        }
        page.append("## A step of two ranks\n\n");
        page.append("""
                `./benchmarks/scaling-benchmark`: a small GPT-2 in F32 on threads with a core each, in turns with one
                rank that has one core; and what a rank sends in a step, counted, beside the formula.

                """);
        for (Source s : records) {
            page.append(s.origin() + ", " + machine(s) + ".\n\n");
            heading("two ranks share | step ms | times one rank | MiB sent by rank 0 | by formula");
            for (JsonNode row : s.record.path("rows")) {
                page.append("| %s | %s | %s | %s | %s |%n"
                        .formatted(
                                row.path("name").asString(""),
                                number(row.path("millis")),
                                number(row.path("ratio")),
                                number(row.path("bytes_sent").asDouble() / (1 << 20)),
                                number(row.path("bytes_by_formula").asDouble() / (1 << 20))));
            }
            page.append('\n');
            remarks(s);
        }
    }

    private void precisions() throws IOException {
        List<Source> records = sources.stream().filter(s -> s.is("precision")).toList();
        if (records.isEmpty()) {
            return;
        }
        page.append("## What low precision costs\n\n");
        page.append("""
                `./benchmarks/precision-benchmark`: the quickstart's model, trained in each [precision](precision.md) by
                the same data and seeds. The loss is that of the validation set at the end, mean of the seeds.

                """);
        for (Source s : records) {
            heading("precision | steps | loss | against f32 | goal | by seed");
            for (JsonNode row : s.record.path("rows")) {
                List<String> losses = new ArrayList<>();
                row.path("losses").forEach(l -> losses.add("%.4f".formatted(l.asDouble())));
                page.append("| %s | %d | %.4f | %+.2f %% | %s | %s |%n"
                        .formatted(
                                row.path("name").asString(""),
                                row.path("steps").asInt(),
                                row.path("loss").asDouble(),
                                100 * row.path("gap").asDouble(),
                                row.path("goal").isNumber()
                                        ? "%.1f %%"
                                                .formatted(
                                                        100 * row.path("goal").asDouble())
                                        : "",
                                String.join(", ", losses)));
            }
            page.append('\n').append(s.origin()).append("\n\n");
            remarks(s);
        }
    }

    private void pipelines() throws IOException {
        List<Source> records = sources.stream().filter(s -> s.is("pipeline")).toList();
        if (records.isEmpty()) {
            return;
        }
        page.append("## The bubble of a pipeline\n\n");
        page.append("""
                `./benchmarks/pipeline-benchmark`, [what it measures](pipeline.md#measured). *With measured times* is a
                simulation with the means of what the instructions took. Stages marked * sleep instead of computing,
                because there are fewer processors than ranks.

                """);
        for (Source s : records) {
            page.append(s.origin() + ", " + machine(s) + ".\n\n");
            heading("ranks | schedule | micro-batches | by formula | with measured times | measured | step ms"
                    + " | micro-batches kept by rank 0 | MiB");
            for (JsonNode row : s.record.path("rows")) {
                page.append("| %d%s | %s | %d | %s | %s | %s | %s | %s | %s |%n"
                        .formatted(
                                row.path("ranks").asInt(0),
                                row.path("sleeps").asBoolean(false) ? "\\*" : "",
                                row.path("name").asString(""),
                                row.path("micro_batches").asInt(0),
                                tenths(row.path("bubble_by_formula")),
                                tenths(row.path("bubble_simulated")),
                                tenths(row.path("bubble")),
                                number(row.path("millis")),
                                number(row.path("kept")),
                                row.path("peak_bytes").isNumber()
                                        ? number(row.path("peak_bytes").asDouble() / (1 << 20))
                                        : ""));
            }
            page.append('\n');
            remarks(s);
        }
    }

    private static String tenths(JsonNode share) {
        return String.format(Locale.ROOT, "%.1f %%", 100 * share.asDouble());
    }

    private static String machine(Source s) {
        return s.record.path("cpu").asString("") + " x "
                + s.record.path("processors").asInt(0);
    }

    /// What people wrote about a record, in a file of its name.
    private void remarks(Source s) throws IOException {
        Path file = s.file.resolveSibling(s.file.getFileName().toString().replaceAll("json$", "md"));
        if (Files.exists(file)) {
            page.append(Files.readString(file).strip()).append("\n\n");
        }
    }

    private void rows(Source s) throws IOException {
        JsonNode r = s.record;
        List<String> peers = new ArrayList<>();
        r.path("contenders").properties().forEach(e -> peers.add(about(e.getKey(), e.getValue())));
        page.append("## Kernels and steps: %s, %s%n%n"
                .formatted(r.path("device").asString("").replaceAll(",.*", ""), s.date()));
        page.append("%s. %s; %s; Java %s; %s. Roofline: %s. Command: `%s`.%n%n"
                .formatted(
                        s.origin(),
                        r.path("device").asString(""),
                        r.path("cpu").asString("") + " x "
                                + r.path("processors").asInt(0),
                        r.path("java").asString(""),
                        peers.isEmpty() ? "no peers" : String.join(", ", peers),
                        r.path("roofline"),
                        r.path("command").asString("")));
        heading("row | us | spread | rate | of the roofline | best peer | us | ratio | error ours, peer");
        for (JsonNode row : r.path("rows")) {
            row(row);
        }
        if (!r.path("skipped").isEmpty()) {
            page.append("\nNot run, out of time: ").append(r.path("skipped")).append(".\n");
        }
        page.append('\n');
        remarks(s);
    }

    private static String about(String name, JsonNode facts) {
        return facts.path("present").asBoolean(false)
                ? name + " "
                        + facts.path("version").asString(facts.path("torch").asString(""))
                : "no " + name + " (" + facts.path("why").asString("") + ")";
    }

    private void row(JsonNode row) {
        if (row.has("why")) {
            page.append("| %s | %s: %s | | | | | | | |%n"
                    .formatted(
                            row.path("name").asString(""),
                            row.path("status").asString(""),
                            row.path("why").asString("")));
            return;
        }
        String best = row.path("best_peer").asString("");
        JsonNode peer = row.path("peers").path(best);
        page.append("| %s | %s | %s | %s | %s | %s | %s | %s | %s, %s |%n"
                .formatted(
                        row.path("name").asString(""),
                        number(row.path("micros")),
                        percent(row.path("spread")),
                        rate(row),
                        percent(row.path("roofline_fraction")),
                        best,
                        number(peer.path("micros")),
                        number(row.path("ratio")),
                        error(row.path("error_fp64")),
                        error(peer.path("error_fp64"))));
    }

    private static String rate(JsonNode row) {
        Map<String, String> units = new LinkedHashMap<>();
        units.put("tokens_per_second", "tokens/s");
        units.put("teraflops", "TFLOP/s");
        units.put("gigabytes_per_second", "GB/s");
        for (Map.Entry<String, String> unit : units.entrySet()) {
            if (row.has(unit.getKey())) {
                return number(row.get(unit.getKey())) + " " + unit.getValue();
            }
        }
        return "";
    }

    /// The README with its sentence about steps on the CPU written again.
    String readme() throws IOException {
        String text = Files.readString(root.resolve("README.md"));
        int begin = text.indexOf(BEGIN);
        int end = text.indexOf(END);
        if (begin < 0 || end < begin) {
            throw new IllegalStateException("README.md has no place for figures: " + BEGIN.strip());
        }
        return text.substring(0, begin + BEGIN.length()) + sentence() + text.substring(end);
    }

    private String sentence() {
        Map<String, String> newest = new LinkedHashMap<>();
        for (Source s : sources) {
            for (StepFigures step : s.steps()) {
                String against =
                        step.rates().containsKey("torch compiled") ? "the better of eager and compiled" : "eager";
                newest.putIfAbsent(
                        step.model() + " " + step.precision(),
                        "- %s in %s: %s times %s (%s)%n"
                                .formatted(step.model(), step.precision(), number(step.ratio()), against, s.date()));
            }
        }
        boolean gpu = sources.stream().anyMatch(Source::onGpu);
        return """
                Tokens per second of whole training steps beside PyTorch, in turns on two CPU cores:

                %s
                %s[All results](docs/results.md), with dates and commits.
                """.formatted(String.join("", newest.values()), gpu ? "" : "Nothing has run on a GPU yet. ");
    }

    private static String number(JsonNode value) {
        return value.isMissingNode() || value.isNull() ? "" : number(value.asDouble());
    }

    private static String number(double value) {
        if (value >= 1000) {
            return String.format(Locale.ROOT, "%.0f", value);
        }
        return String.format(Locale.ROOT, value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f", value);
    }

    private static String percent(JsonNode value) {
        return value.isMissingNode() ? "" : String.format(Locale.ROOT, "%.0f %%", 100 * value.asDouble());
    }

    private static String error(JsonNode value) {
        return value.isMissingNode() ? "" : String.format(Locale.ROOT, "%.0e", value.asDouble());
    }
}
