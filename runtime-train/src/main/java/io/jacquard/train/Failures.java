package io.jacquard.train;

import io.jacquard.group.FlightReport;
import io.jacquard.io.AtomicFiles;
import io.jacquard.io.CheckpointDirectory;
import io.jacquard.io.Json;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/// What a run directory tells of processes that ended before the run was done, and `failures.jsonl`, which keeps the
/// reasons: one JSON object a line.
public final class Failures {
    private static final String BEFORE = "\n\nbefore:\n";

    private final Path run;

    /// One attempt that failed.
    ///
    /// @param exitCode of the process; above 128 it was ended by that signal less 128
    /// @param resumedFrom the step of the state that it began with; empty if it began the run
    /// @param step the last one that it did; empty if it did none
    /// @param restart how often the run had been started again before
    /// @param report of its ranks; empty if there is none
    /// @param lastLines of its standard error
    public record Failure(
            int exitCode,
            OptionalLong resumedFrom,
            OptionalLong step,
            int restart,
            String report,
            List<String> lastLines) {
        /// Whether another attempt failed at the same place: a third would, too.
        public boolean isAtThePlaceOf(Failure other) {
            return resumedFrom.equals(other.resumedFrom) && step.equals(other.step);
        }
    }

    /// Of this run directory, which need not exist yet.
    public Failures(Path run) {
        this.run = run;
    }

    /// The file.
    public Path file() {
        return run.resolve("failures.jsonl");
    }

    /// Where ranks record what they do.
    public Path ranks() {
        return run.resolve("ranks");
    }

    /// Whether no process has the run directory open.
    public boolean isFree() throws IOException {
        try (RunDirectory _ = RunDirectory.open(run)) {
            return true;
        } catch (IllegalStateException e) {
            return false;
        }
    }

    /// The step of the newest state, damaged or not.
    public OptionalLong saved() throws IOException {
        Path checkpoints = RunDirectory.checkpoints(run);
        return Files.isDirectory(checkpoints)
                ? CheckpointDirectory.openReadOnly(checkpoints).newest()
                : OptionalLong.empty();
    }

    /// The last step in the run's metrics.
    public OptionalLong step() throws IOException {
        OptionalLong step = OptionalLong.empty();
        for (Map<String, @Nullable Object> line : Metrics.read(metrics())) {
            step = line.get("step") instanceof Long s ? OptionalLong.of(s) : step;
        }
        return step;
    }

    private Path metrics() {
        return run.resolve("metrics.jsonl");
    }

    /// What differs once an attempt has begun to train.
    public String fingerprint() throws IOException {
        Path metrics = metrics();
        return Files.exists(metrics) ? Files.size(metrics) + " " + Files.getLastModifiedTime(metrics) : "";
    }

    /// What the ranks reported, or else what their recorders hold; empty if there is neither.
    public String report() throws IOException {
        Path file = ranks().resolve(FlightReport.FILE);
        if (!Files.exists(file)) {
            return FlightReport.ofDirectory(ranks());
        }
        String text = Files.readString(file);
        int end = text.indexOf(BEFORE);
        return end < 0 ? text.strip() : text.substring(0, end);
    }

    /// Adds one, on the disk when this returns.
    public void add(Failure f) throws IOException {
        Map<String, @Nullable Object> line = new LinkedHashMap<>();
        line.put("time", Instant.now().toString());
        line.put("exit_code", (long) f.exitCode);
        f.resumedFrom.ifPresent(step -> line.put("resumed_from", step));
        f.step.ifPresent(step -> line.put("step", step));
        line.put("restart", (long) f.restart);
        if (!f.report.isEmpty()) {
            line.put("report", f.report.lines().toList());
        }
        line.put("last_lines", f.lastLines);
        Files.createDirectories(run);
        try (FileChannel out = FileChannel.open(file(), StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
            AtomicFiles.writeFully(out, ByteBuffer.wrap((Json.render(line) + "\n").getBytes(StandardCharsets.UTF_8)));
            out.force(true);
        }
    }
}
