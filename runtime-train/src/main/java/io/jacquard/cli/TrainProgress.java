package io.jacquard.cli;

import io.jacquard.train.Metrics;
import io.jacquard.train.Score;
import io.jacquard.train.TrainConfig;
import io.jacquard.train.TrainListener;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;

/// Shows a run: a status line on a terminal, a plain line every ten seconds elsewhere.
final class TrainProgress implements TrainListener {
    private static final double PLAIN_SECONDS = 10;

    private final Terminal terminal;
    private long steps;
    private double minutes;
    private double firstSeconds = Double.NaN;
    private long firstStep;
    private double nextPlain;
    private double speed;
    private Instant firstStepAt = Instant.MAX;

    TrainProgress(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public void started(TrainConfig config, long parameters, long trainTokens, long step) {
        firstStepAt = Instant.now();
        steps = config.training().steps();
        minutes = config.training().minutes();
        terminal.line(String.format(
                Locale.ROOT,
                "%s: %,d parameters, %,d tokens to train on, %,d per step, %s%s on %s",
                config.run(),
                parameters,
                trainTokens,
                config.tokensPerStep(),
                step > 0 ? "from step " + step + " to " + steps : steps + " steps",
                step >= steps ? " (nothing left to do; more with --set training.steps=N)" : "",
                config.device()));
    }

    /// When the first step of this process began, or when it found that there is none left.
    Instant firstStepAt() {
        return firstStepAt;
    }

    @Override
    public void compared(int step, int steps) {
        if (terminal.isLive()) {
            terminal.status("step " + step + "/" + steps + " to compare with");
        }
    }

    @Override
    public void stepped(Metrics.Step s) {
        if (Double.isNaN(firstSeconds)) {
            firstSeconds = s.seconds();
            firstStep = s.step();
            nextPlain = s.seconds();
        }
        speed = speed == 0 ? s.tokensPerSecond() : 0.9 * speed + 0.1 * s.tokensPerSecond();
        String line = String.format(
                Locale.ROOT,
                "step %d/%d  loss %.3f  %s tokens/s  %s",
                s.step(),
                steps,
                s.loss(),
                thousands(speed),
                left(s));
        if (terminal.isLive()) {
            terminal.status(line);
        } else if (s.seconds() >= nextPlain || s.step() == steps) {
            nextPlain = s.seconds() + PLAIN_SECONDS;
            terminal.line(line);
        }
    }

    private String left(Metrics.Step s) {
        if (s.step() <= firstStep) {
            return "";
        }
        double perStep = (s.seconds() - firstSeconds) / (s.step() - firstStep);
        double seconds = perStep * (steps - s.step());
        if (minutes > 0) {
            seconds = Math.min(seconds, Math.max(0, 60 * minutes - s.seconds()));
        }
        return duration(seconds) + " left";
    }

    static String duration(double seconds) {
        Duration d = Duration.ofSeconds(Math.round(seconds));
        return d.toHours() > 0
                ? d.toHours() + "h" + String.format(Locale.ROOT, "%02dm", d.toMinutesPart())
                : d.toMinutes() > 0
                        ? d.toMinutes() + "m" + String.format(Locale.ROOT, "%02ds", d.toSecondsPart())
                        : d.toSeconds() + "s";
    }

    private static String thousands(double value) {
        return value >= 10_000
                ? String.format(Locale.ROOT, "%.1fk", value / 1000)
                : String.format(Locale.ROOT, "%.0f", value);
    }

    @Override
    public void validated(long step, Score score) {
        String bits = Double.isNaN(score.bitsPerByte())
                ? ""
                : String.format(Locale.ROOT, ", %.3f bits per byte", score.bitsPerByte());
        terminal.line(String.format(
                Locale.ROOT,
                "step %d  validation loss %.4f (perplexity %.2f%s)",
                step,
                score.loss(),
                score.perplexity(),
                bits));
    }

    @Override
    public void sampled(long step, String text) {
        terminal.line("step " + step + "  sample:\n" + text.indent(4).stripTrailing());
    }

    @Override
    public void saving(long step, Path directory) {
        terminal.line("step " + step + "  saving " + directory);
    }

    @Override
    public void noted(String line) {
        terminal.line(line);
    }
}
