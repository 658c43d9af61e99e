package io.jacquard.benchmarks.suite;

import io.jacquard.tensor.Session;
import io.jacquard.train.Metrics;
import io.jacquard.train.TrainConfig;
import io.jacquard.train.TrainListener;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/// Whole steps on our side: a run of the product's [Trainer] that stands still between two turns. `run` answers the
/// wall time of a step over a turn, the first step of which does not count: it was begun before the turn.
public final class StepServer implements TrainListener {
    private final Lines lines;
    private int left;
    private int counted;
    private long began;
    private double lastLoss;

    private static final class Quit extends RuntimeException {
        private static final long serialVersionUID = 1;

        Quit() {
            super("no more commands", null, false, false);
        }
    }

    private StepServer(Lines lines) {
        this.lines = lines;
    }

    /// `ROW DEVICE DIRECTORY`: the row's JSON, `cpu` or `cuda:0`, an empty directory for data and run.
    public static void main(String[] args) throws IOException {
        Lines lines = new Lines();
        try {
            JsonNode row = Lines.JSON.readTree(args[0]);
            Path directory = Path.of(args[2]);
            StepRun.start(row, args[1], directory, new StepServer(lines));
        } catch (Quit _) {
            return;
        } catch (RuntimeException | LinkageError | IOException e) {
            lines.fail(e);
        }
    }

    @Override
    public void started(TrainConfig config, long parameters, long trainTokens, long step) {
        Map<String, Object> ready = new LinkedHashMap<>();
        ready.put("ready", true);
        ready.put("parameters", parameters);
        lines.answer(ready);
        await();
    }

    @Override
    public void stepped(Metrics.Step step) {
        lastLoss = step.loss();
        if (left == counted) {
            began = System.nanoTime();
        }
        if (left-- > 0) {
            return;
        }
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("micros", (System.nanoTime() - began) / 1e3 / counted);
        answer.put("loss", lastLoss);
        answer.put("step", step.step());
        answer.put("peak_bytes", Session.current().peakBytes());
        answer.put("peak_rss_bytes", residentBytes());
        lines.answer(answer);
        await();
    }

    /// Stands still until the next turn.
    private void await() {
        try {
            JsonNode command = lines.next();
            if (command == null) {
                throw new Quit();
            }
            counted = command.get("steps").asInt();
            left = counted;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static long residentBytes() {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
                if (line.startsWith("VmHWM:")) {
                    return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
                }
            }
            return 0;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
