package io.jacquard.cli;

import io.jacquard.group.Watch;
import io.jacquard.io.Json;
import io.jacquard.train.Failures;
import io.jacquard.train.TrainConfig;
import io.jacquard.train.Trainer;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;

/// Trains and tells the outcome; shared by the commands that train.
final class TrainRun {
    private TrainRun() {}

    /// Trains with progress on standard error and the outcome on standard output.
    ///
    /// @return null in a process whose rank is not the first
    static Trainer.@Nullable Outcome run(
            CommandLine command, TrainConfig config, RankOptions ranks, boolean resume, boolean json) throws Exception {
        Terminal terminal = Terminal.of(command.getErr());
        TrainProgress progress = new TrainProgress(terminal);
        Trainer trainer = new Trainer(config, progress);
        Runnable stop = () -> {
            terminal.line("interrupted: finishing the step and saving");
            trainer.requestStop();
        };
        Watch watch = watch(config);
        return Interrupts.during(stop, () -> {
            Trainer.Outcome outcome = ranks.run(
                    command, config.device(), watch, world -> resume ? trainer.resume(world) : trainer.start(world));
            if (outcome != null) { // while a signal still waits for it
                tell(terminal, config, outcome);
                if (json) {
                    command.getOut().println(json(config, outcome, progress.firstStepAt()));
                } else if (outcome.checkpoint() != null) {
                    command.getOut().println(outcome.checkpoint());
                }
                command.getOut().flush();
            }
            return outcome;
        });
    }

    private static Watch watch(TrainConfig config) {
        Duration timeout = Watch.DEFAULT.timeout();
        Duration patience = Duration.ofMillis((long) (60_000 * config.parallel().patience()));
        return new Watch(
                timeout, patience.compareTo(timeout) < 0 ? timeout : patience, new Failures(config.run()).ranks());
    }

    private static void tell(Terminal terminal, TrainConfig config, Trainer.Outcome outcome) {
        if (!outcome.complete()) {
            terminal.line("stopped after step " + outcome.step() + " of "
                    + config.training().steps() + (outcome.checkpoint() == null ? "" : ", saved")
                    + "; go on with: jacquard resume " + config.run());
        }
        if (outcome.energy() != null) {
            terminal.line(energy(config, outcome.energy()));
        }
    }

    private static String energy(TrainConfig config, Trainer.Energy used) {
        return String.format(
                Locale.ROOT,
                "energy: %.1f kJ (%.2f Wh), %.3g J per token; %.3g g of CO2 at %s g/kWh",
                used.joules() / 1e3,
                used.joules() / 3600,
                used.joulesPerToken(),
                used.carbonDioxide(),
                Double.toString(config.energy().gridIntensity()).replaceAll("\\.0$", ""));
    }

    private static String json(TrainConfig config, Trainer.Outcome outcome, Instant firstStepAt) {
        Map<String, @Nullable Object> values = new LinkedHashMap<>();
        values.put("run", config.run().toString());
        values.put("step", outcome.step());
        values.put("complete", outcome.complete());
        values.put("loss", finite(outcome.loss()));
        values.put(
                "validation_loss",
                outcome.score() == null ? null : finite(outcome.score().loss()));
        values.put(
                "checkpoint",
                outcome.checkpoint() == null ? null : outcome.checkpoint().toString());
        values.put("first_step_at", firstStepAt.toString());
        if (outcome.energy() != null) {
            values.put("joules", outcome.energy().joules());
            values.put("joules_per_token", outcome.energy().joulesPerToken());
            values.put("co2_grams", outcome.energy().carbonDioxide());
        }
        return Json.render(values);
    }

    private static @Nullable Double finite(double value) {
        return Double.isFinite(value) ? value : null;
    }
}
