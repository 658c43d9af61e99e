package io.jacquard.train;

import io.jacquard.group.Group;
import io.jacquard.io.AtomicFiles;
import io.jacquard.io.Json;
import io.jacquard.nn.Precision;
import io.jacquard.optim.Optimizer;
import io.jacquard.optim.Schedule;
import io.jacquard.parallel.Mesh;
import io.jacquard.parallel.MeshModel;
import io.jacquard.tensor.Scope;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// What low precision costs a run: its losses beside those of the same first steps in `training.dtype`, which are made
/// before it, and at its end what rounding does to each tensor. Kept in `precision.json`.
final class PrecisionGap {
    /// Parts of the compared steps whose mean losses are compared: single steps differ by chance.
    private static final int PARTS = 4;

    /// A gap that is worth a warning where it grows. Runs of other seeds differ by as much.
    private static final double NOTABLE = 0.01;

    private static final int MAX_BYTES = 64 << 20;

    private final Path file;
    private final String label;
    private final String dtype;
    private final float[] reference;
    private final float[] losses;
    private int known;

    private PrecisionGap(TrainConfig config, float[] reference, float[] losses, int known) {
        this.file = RunDirectory.precision(config.run());
        this.label = config.training().precision().label();
        this.dtype = ConfigKey.spelling(config.training().dtype());
        this.reference = reference;
        this.losses = losses;
        this.known = known;
    }

    /// Whether a run has a gap that it wants to know.
    static boolean isWanted(TrainConfig config) {
        return config.training().precision().isLow() && steps(config) > 0;
    }

    private static int steps(TrainConfig config) {
        return (int) Math.min(config.training().gapSteps(), config.training().steps());
    }

    /// Makes the first steps in `training.dtype`, with the same seed and data. All ranks of `world` must call.
    ///
    /// @param stop whether to give up, asked where one rank decides alone
    /// @return null if it gave up
    static @Nullable PrecisionGap measure(
            TrainConfig config, TrainingData data, Group world, TrainListener listener, BooleanSupplier stop) {
        int n = steps(config);
        TrainConfig.Training t = config.training();
        listener.noted("precision " + t.precision().label() + ": " + n + " steps in " + ConfigKey.spelling(t.dtype())
                + " first, to compare losses with (training.gapSteps: 0 for none)");
        float[] reference = new float[n];
        try (Mesh mesh = new Mesh(world, TrainLoop.topology(config.parallel(), world));
                var _ = Scope.open("reference steps")) {
            MeshModel model = TrainLoop.model(config, data, mesh, Precision.DTYPE);
            Optimizer optimizer = Optimizers.optimizer(config, model.shards());
            Schedule schedule = Optimizers.schedule(config.optimizer(), t.steps());
            try (TrainStep step = new TrainStep(model, optimizer, data.train(), config)) {
                for (int i = 0; i < n; i++) {
                    if (world.size() == 1 && stop.getAsBoolean()) {
                        return null;
                    }
                    step.load(i);
                    reference[i] =
                            step.launch(schedule.at(i), false, false).result().loss();
                    listener.compared(i + 1, n);
                }
            }
        }
        return new PrecisionGap(config, reference, new float[n], 0);
    }

    /// What an interrupted run has kept of its first `done` steps: no losses if they were of another precision, or
    /// not compared.
    static PrecisionGap load(TrainConfig config, long done, TrainListener listener) throws IOException {
        Path file = RunDirectory.precision(config.run());
        Map<String, @Nullable Object> saved = Files.exists(file) ? Json.readObject(file, MAX_BYTES) : Map.of();
        TrainConfig.Training t = config.training();
        boolean isSame = t.precision().label().equals(saved.get("precision"))
                && ConfigKey.spelling(t.dtype()).equals(saved.get("against"));
        float[] reference = floats(isSame ? saved.get("reference") : null);
        if (reference.length == 0) {
            listener.noted("precision " + t.precision().label() + ": the first steps of this run were not compared with"
                    + " those in " + ConfigKey.spelling(t.dtype()) + ", so that its end says no gap");
        }
        float[] kept = floats(saved.get("losses"));
        float[] losses = new float[reference.length];
        int known = (int) Math.min(done, Math.min(kept.length, losses.length));
        System.arraycopy(kept, 0, losses, 0, known);
        return new PrecisionGap(config, reference, losses, known);
    }

    private static float[] floats(@Nullable Object list) {
        List<?> numbers = list instanceof List<?> l ? l : List.of();
        float[] floats = new float[numbers.size()];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = numbers.get(i) instanceof Number n ? n.floatValue() : Float.NaN;
        }
        return floats;
    }

    /// Takes notice of the loss of step `step`, counted from 1; says how the two compare when all are there.
    void stepped(long step, float loss, TrainListener listener) throws IOException {
        if (step != known + 1L || known == reference.length) {
            return;
        }
        losses[known++] = loss;
        if (isComplete()) {
            listener.noted(comparison());
            if (grows()) {
                listener.noted("warning: the gap grows: " + percent(gap(PARTS - 2)) + " before; compare validations of"
                        + " both, or keep more in " + dtype + " (training.precisionEnds, another training.precision)");
            }
            write(Map.of());
        }
    }

    private boolean isComplete() {
        return known > 0 && known == reference.length;
    }

    private int from(int part) {
        return reference.length * part / PARTS;
    }

    /// Mean loss over that in `dtype`, less 1, of one part of the steps.
    private double gap(int part) {
        double low = 0;
        double exact = 0;
        for (int i = from(part); i < from(part + 1); i++) {
            low += losses[i];
            exact += reference[i];
        }
        return low / exact - 1;
    }

    private boolean grows() {
        double last = gap(PARTS - 1);
        return reference.length >= PARTS && (Double.isNaN(last) || last > NOTABLE && last > 1.5 * gap(PARTS - 2));
    }

    private String comparison() {
        int from = from(PARTS - 1);
        return String.format(
                Locale.ROOT,
                "precision %s: loss %.4f against %.4f in %s, mean of steps %d to %d: %s",
                label,
                mean(losses, from),
                mean(reference, from),
                dtype,
                from + 1,
                reference.length,
                percent(gap(PARTS - 1)));
    }

    private static double mean(float[] values, int from) {
        double sum = 0;
        for (int i = from; i < values.length; i++) {
            sum += values[i];
        }
        return sum / (values.length - from);
    }

    private static String percent(double share) {
        return String.format(Locale.ROOT, "%+.2f %%", 100 * share);
    }

    /// Reports at the end of the run, with what rounding did in a step.
    void report(RoundingErrors errors, TrainListener listener) throws IOException {
        if (isComplete()) {
            listener.noted(comparison());
        }
        if (!errors.tallies().isEmpty()) {
            listener.noted("rounding, at most: underflow " + most(errors, RoundingErrors.Tally::underflow)
                    + ", overflow " + most(errors, RoundingErrors.Tally::overflow)
                    + ", error " + most(errors, RoundingErrors.Tally::error) + "; all in " + file.getFileName());
        }
        write(Map.of("tensors", errors.lines()));
    }

    private static String most(RoundingErrors errors, ToDoubleFunction<RoundingErrors.Tally> what) {
        return errors.tallies().entrySet().stream()
                .filter(e -> !(what.applyAsDouble(e.getValue()) <= 0)) // NaN is the largest
                .max(Comparator.comparingDouble(e -> what.applyAsDouble(e.getValue())))
                .map(e ->
                        String.format(Locale.ROOT, "%.3g %% (%s)", 100 * what.applyAsDouble(e.getValue()), e.getKey()))
                .orElse("none");
    }

    private void write(Map<String, Object> more) throws IOException {
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("precision", label);
        all.put("against", dtype);
        if (isComplete()) {
            all.put("gap", number(gap(PARTS - 1)));
        }
        all.put("reference", list(reference, reference.length));
        all.put("losses", list(losses, known));
        all.putAll(more);
        AtomicFiles.writeText(file, Json.renderLines(all));
    }

    /// `value` as JSON can have it.
    static Object number(double value) {
        return Double.isFinite(value) ? value : "not finite";
    }

    private static List<Object> list(float[] values, int n) {
        return IntStream.range(0, n)
                .mapToObj(i -> number(Double.parseDouble(Float.toString(values[i]))))
                .toList();
    }

    /// Keeps the losses so far beside a saved state.
    void save() throws IOException {
        if (reference.length > 0) {
            write(Map.of());
        }
    }
}
