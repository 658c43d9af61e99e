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
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// `metrics.jsonl`: one JSON object per line, one line per step, and lines of their own for validations and samples.
public final class Metrics implements AutoCloseable {
    /// One optimizer step.
    ///
    /// @param step steps done, this one included
    /// @param loss mean over the step's tokens, in nats
    /// @param gradientNorm before clipping
    /// @param tokens read by the run so far
    /// @param tokensPerSecond of this step, from the end of the one before or from its launch, whichever was later
    /// @param seconds that the run has taken so far, its validations included, the time between stop and resume not
    /// @param finite false if the step was not applied because its loss or gradient was not finite
    /// @param joules that the device used in the same time; NaN where nothing measures them
    public record Step(
            long step,
            float loss,
            float learningRate,
            float gradientNorm,
            long tokens,
            double tokensPerSecond,
            double seconds,
            boolean finite,
            double joules,
            double joulesPerToken) {}

    private final @Nullable FileChannel out;

    private Metrics(@Nullable FileChannel out) {
        this.out = out;
    }

    /// Writes nothing: another rank does.
    static Metrics none() {
        return new Metrics(null);
    }

    /// Opens the file for appending. Lines of steps after `step`, which a crash left behind, are removed first.
    static Metrics open(Path file, long step) throws IOException {
        if (Files.exists(file)) {
            List<String> kept = new ArrayList<>();
            for (Map<String, @Nullable Object> line : read(file)) {
                if (line.get("step") instanceof Long s && s <= step) {
                    kept.add(Json.render(line));
                }
            }
            AtomicFiles.writeText(file, kept.isEmpty() ? "" : String.join("\n", kept) + "\n");
        }
        return new Metrics(FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND));
    }

    /// The lines of the file in order; an unfinished one ends it.
    static List<Map<String, @Nullable Object>> read(Path file) throws IOException {
        List<Map<String, @Nullable Object>> lines = new ArrayList<>();
        if (Files.exists(file)) {
            // Not readAllLines: a line cut in the middle of a character is no reason to fail.
            for (String line : new String(Files.readAllBytes(file), StandardCharsets.UTF_8).split("\n", -1)) {
                try {
                    lines.add(Json.parseObject(file.toString(), line));
                } catch (IllegalArgumentException e) {
                    break;
                }
            }
        }
        return lines;
    }

    void step(Step s) throws IOException {
        Map<String, @Nullable Object> line = new LinkedHashMap<>();
        line.put("step", s.step);
        line.put("loss", number(s.loss));
        line.put("learning_rate", number(s.learningRate));
        line.put("gradient_norm", number(s.gradientNorm));
        line.put("tokens", s.tokens);
        line.put("tokens_per_second", rounded(s.tokensPerSecond));
        line.put("seconds", rounded(s.seconds));
        if (!Double.isNaN(s.joules)) {
            line.put("joules", rounded(s.joules));
            line.put("joules_per_token", number((float) s.joulesPerToken));
        }
        if (!s.finite) {
            line.put("applied", false);
        }
        write(line);
    }

    void validation(long step, Score score) throws IOException {
        Map<String, @Nullable Object> line = new LinkedHashMap<>();
        line.put("step", step);
        line.put("validation_loss", number(score.loss()));
        line.put("perplexity", number(score.perplexity()));
        line.put("bits_per_byte", number(score.bitsPerByte()));
        line.put("validation_tokens", score.tokens());
        write(line);
    }

    void sample(long step, String text) throws IOException {
        Map<String, @Nullable Object> line = new LinkedHashMap<>();
        line.put("step", step);
        line.put("sample", text);
        write(line);
    }

    // JSON has no NaN and no infinity.
    private static @Nullable Object number(double value) {
        return Double.isFinite(value) ? value : null;
    }

    // The shortest decimal of a float, not that of the double it widens to.
    private static @Nullable Object number(float value) {
        return Float.isFinite(value) ? Double.parseDouble(Float.toString(value)) : null;
    }

    private static double rounded(double value) {
        return Math.round(value * 1000) / 1000.0;
    }

    private void write(Map<String, @Nullable Object> line) throws IOException {
        if (out != null) {
            AtomicFiles.writeFully(out, ByteBuffer.wrap((Json.render(line) + "\n").getBytes(StandardCharsets.UTF_8)));
        }
    }

    /// Brings the lines so far to the disk.
    void sync() throws IOException {
        if (out != null) {
            out.force(false);
        }
    }

    @Override
    public void close() throws IOException {
        if (out != null) {
            out.close();
        }
    }
}
