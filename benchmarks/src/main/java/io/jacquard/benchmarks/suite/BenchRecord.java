package io.jacquard.benchmarks.suite;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/// The file that a run leaves: written again after each row, so that what was measured stays when the run is cut off.
public final class BenchRecord {
    static final int FORMAT = 2;

    /// Of kernels and steps beside peers; other benchmarks have rows of their own.
    static final String BENCHMARK = "bench";

    private static final JsonMapper JSON = JsonMapper.builder().build();

    private final Path file;
    private final Map<String, @Nullable Object> head = new LinkedHashMap<>();
    private final List<Map<String, @Nullable Object>> rows = new ArrayList<>();
    private final List<String> skipped = new ArrayList<>();

    /// @param benchmark what its rows are: `bench`, `scaling` ...
    /// @param command a name and its arguments, to be recorded as a shell takes them
    public BenchRecord(String benchmark, Path file, List<String> command) throws IOException {
        this.file = file;
        head.put("benchmark", benchmark);
        head.put("format", FORMAT);
        head.put("date", Instant.now().truncatedTo(ChronoUnit.SECONDS).toString());
        head.put("commit", commit());
        head.put("command", command.stream().map(BenchRecord::quoted).collect(Collectors.joining(" ")));
        head.put("cpu", cpu());
        head.put("processors", Runtime.getRuntime().availableProcessors());
        head.put("java", Runtime.version().toString());
    }

    /// A command with its arguments as anybody can repeat it: without the paths of this machine.
    public static List<String> command(String name, List<String> arguments) {
        Map<String, String> paths = Map.of(
                "--out",
                "FILE",
                "--python",
                "PYTHON",
                "--compare",
                "RECORD",
                "--report",
                "DIR",
                "--history",
                "DIR",
                "--data",
                "DIR",
                "--pictures",
                "DIR");
        List<String> command = new ArrayList<>(List.of(name));
        String before = "";
        for (String argument : arguments) {
            String[] parts = argument.split("=", 2);
            String inOne =
                    parts.length == 2 && paths.containsKey(parts[0]) ? parts[0] + "=" + paths.get(parts[0]) : argument;
            command.add(paths.getOrDefault(before, inOne));
            before = argument;
        }
        return command;
    }

    /// As a shell takes it for this one argument.
    static String quoted(String argument) {
        return argument.matches("[\\w./,=:-]+") ? argument : "'" + argument.replace("'", "'\\''") + "'";
    }

    /// A fact about the whole run.
    public void put(String key, @Nullable Object value) {
        head.put(key, value);
    }

    /// Appends a row and writes the file, as one that is not complete.
    public void add(Map<String, @Nullable Object> row) throws IOException {
        rows.add(row);
        write(false);
    }

    void skip(String row) {
        skipped.add(row);
    }

    List<String> skipped() {
        return List.copyOf(skipped);
    }

    List<Map<String, @Nullable Object>> rows() {
        return rows;
    }

    /// The file as it was last written.
    JsonNode json() throws IOException {
        return JSON.readTree(Files.readString(file));
    }

    /// Writes the file; one line a row: a change shows as such in a diff.
    public void write(boolean complete) throws IOException {
        Map<String, @Nullable Object> all = new LinkedHashMap<>(head);
        all.put("complete", complete);
        all.put("skipped", skipped);
        StringBuilder text = new StringBuilder("{\n");
        all.forEach((key, value) -> text.append(JSON.writeValueAsString(key))
                .append(": ")
                .append(JSON.writeValueAsString(value))
                .append(",\n"));
        text.append("\"rows\": [");
        for (int i = 0; i < rows.size(); i++) {
            text.append(i == 0 ? "\n" : ",\n").append(JSON.writeValueAsString(rows.get(i)));
        }
        text.append("\n]\n}\n");
        Path parent = file.toAbsolutePath().getParent();
        Files.createDirectories(parent);
        Path part = Files.createTempFile(parent, "record", ".part");
        Files.writeString(part, text.toString());
        Files.move(part, file, StandardCopyOption.REPLACE_EXISTING);
    }

    /// Every way in which a record does not keep to the format; none for a good one.
    static List<String> faults(JsonNode record) {
        List<String> faults = new ArrayList<>();
        for (String key : List.of(
                "date", "commit", "command", "device", "machine", "roofline", "contenders", "protocol", "rows")) {
            if (record.path(key).isMissingNode()) {
                faults.add("no " + key);
            }
        }
        if (record.path("format").asInt(0) != FORMAT) {
            faults.add("format " + record.path("format") + ", expected " + FORMAT);
        }
        record.path("contenders").properties().forEach(e -> {
            JsonNode about = e.getValue();
            if (!about.path("present").asBoolean(false)
                    && about.path("why").asString("").isEmpty()) {
                faults.add(e.getKey() + " is not there, and no reason");
            }
        });
        for (JsonNode row : record.path("rows")) {
            faults(row, record, faults);
        }
        return faults;
    }

    private static void faults(JsonNode row, JsonNode record, List<String> faults) {
        String name = row.path("name").asString("?");
        String status = row.path("status").asString("");
        boolean timed = status.equals(Result.MEASURED) || status.equals(Result.ALONE);
        boolean step = row.path("spec").path("kind").asString("").equals("step");
        if (timed != row.has("micros") || timed == row.has("why")) {
            faults.add(name + ": status " + status + " with times " + row.has("micros") + ", reason " + row.has("why"));
        }
        if (timed
                && !step
                && !(row.path("error_fp64").asDouble(1)
                        <= row.path("error_allowed").asDouble(0))) {
            faults.add(name + ": timed with an error of " + row.path("error_fp64"));
        }
        if (status.equals(Result.MEASURED) != row.has("ratio")) {
            faults.add(name + ": status " + status + ", ratio " + row.path("ratio"));
        }
        if (row.has("ratio")
                && record.path("contenders").properties().stream()
                        .noneMatch(e -> e.getValue().path("present").asBoolean(false))) {
            faults.add(name + ": a ratio without a peer");
        }
    }

    private static String commit() {
        String told = System.getProperty("jacquard.commit");
        if (told != null) {
            return told;
        }
        String commit = Machine.output("git", "rev-parse", "--short", "HEAD");
        if (commit.isEmpty()) {
            return "unknown";
        }
        boolean changed = !Machine.output("git", "status", "--porcelain", "--untracked-files=no")
                .isEmpty();
        return commit + (changed ? " with changes" : "");
    }

    private static String cpu() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/cpuinfo"), StandardCharsets.UTF_8)) {
            if (line.startsWith("model name")) {
                return line.substring(line.indexOf(':') + 1).strip();
            }
        }
        return "unknown";
    }
}
