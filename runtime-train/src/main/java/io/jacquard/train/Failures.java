package io.jacquard.train;

import io.jacquard.io.AtomicFiles;
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
import org.jspecify.annotations.Nullable;

/// `failures.jsonl` of a run directory: why its processes ended before it was done, one JSON object a line.
public final class Failures {
    private final Path run;

    /// Of this run directory, which need not exist yet.
    public Failures(Path run) {
        this.run = run;
    }

    /// The file.
    public Path file() {
        return run.resolve("failures.jsonl");
    }

    /// The last step in the run's metrics; 0 before the first.
    public long step() throws IOException {
        long step = 0;
        for (Map<String, @Nullable Object> line : Metrics.read(run.resolve("metrics.jsonl"))) {
            step = line.get("step") instanceof Long s ? s : step;
        }
        return step;
    }

    /// Adds one, on the disk when this returns.
    ///
    /// @param exitCode of the process; above 128 it was ended by that signal less 128
    /// @param step that its metrics ended with
    /// @param restart how often it had been started again before
    /// @param lastLines of its standard error
    public void add(int exitCode, long step, int restart, List<String> lastLines) throws IOException {
        Map<String, @Nullable Object> line = new LinkedHashMap<>();
        line.put("time", Instant.now().toString());
        line.put("exit_code", (long) exitCode);
        line.put("step", step);
        line.put("restart", (long) restart);
        line.put("last_lines", lastLines);
        Files.createDirectories(run);
        try (FileChannel out = FileChannel.open(file(), StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
            AtomicFiles.writeFully(out, ByteBuffer.wrap((Json.render(line) + "\n").getBytes(StandardCharsets.UTF_8)));
            out.force(true);
        }
    }
}
