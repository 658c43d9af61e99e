package io.jacquard.train;

import io.jacquard.group.Group;
import io.jacquard.group.SoloGroup;
import io.jacquard.io.CheckpointDirectory;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/// Trains a model as a configuration says and leaves everything in its run directory.
///
/// A run that was interrupted, or killed at any moment, is continued by [#resume] and ends with the same bits as one
/// that never stopped (unless `training.minutes` ended either).
///
/// **Thread**: [#start()] and [#resume()] train on the calling thread; [#requestStop] may come from any.
public final class Trainer {
    private final TrainConfig config;
    private final TrainListener listener;
    private volatile boolean stop;

    /// How a run ended.
    ///
    /// @param step steps done
    /// @param complete false if it was stopped by [#requestStop]
    /// @param loss of the last step
    /// @param score of the last validation, if any
    /// @param checkpoint the newest saved state
    /// @param energy of the whole run; null where nothing measured it, or not all of it
    public record Outcome(
            long step,
            boolean complete,
            float loss,
            @Nullable Score score,
            @Nullable Path checkpoint,
            @Nullable Energy energy) {}

    /// What a run has used, its validations included.
    ///
    /// @param joulesPerToken of the tokens that it was trained on
    /// @param carbonDioxide in grams, by `energy.gridIntensity`
    public record Energy(double joules, double joulesPerToken, double carbonDioxide) {
        static final double JOULES_PER_KILOWATT_HOUR = 3.6e6;

        static @Nullable Energy of(double joules, long tokens, TrainConfig config) {
            return Double.isNaN(joules) || tokens == 0
                    ? null
                    : new Energy(
                            joules,
                            joules / tokens,
                            joules / JOULES_PER_KILOWATT_HOUR * config.energy().gridIntensity());
        }
    }

    public Trainer(TrainConfig config, TrainListener listener) {
        this.config = config;
        this.listener = listener;
    }

    /// Asks a running training to finish the steps that it launched, save and return. On a GPU that is one more
    /// than the listener has heard of.
    public void requestStop() {
        stop = true;
    }

    /// Begins a new run, alone.
    ///
    /// @throws IllegalArgumentException if the run directory holds a saved state, or the data do not fit
    /// @throws IllegalStateException if too many steps in a row were not finite
    public Outcome start() throws IOException {
        try (Session _ = Session.open(config.device())) {
            return start(new SoloGroup());
        }
    }

    /// As [#start()], as one of the ranks of `world`, which the configuration's `parallel` arranges, on the device
    /// of the current session. All must call, and see the same directories; [TrainListener] hears rank 0 only.
    public Outcome start(Group world) throws IOException {
        return run(world, false);
    }

    /// Continues from the newest saved state that is complete and undamaged, or from the beginning if there is
    /// none.
    public Outcome resume() throws IOException {
        try (Session _ = Session.open(config.device())) {
            return resume(new SoloGroup());
        }
    }

    /// As [#resume()], as one of the ranks of `world`: as many as before, or others.
    public Outcome resume(Group world) throws IOException {
        return run(world, true);
    }

    /// The configuration that a run directory was last started with.
    ///
    /// @throws IllegalArgumentException if it is not the directory of a run
    public static ConfigReader configOf(Path run) throws IOException {
        Path file = RunDirectory.config(run);
        if (!Files.exists(file)) {
            throw new IllegalArgumentException(run + " is not the directory of a run: there is no " + file);
        }
        return new ConfigReader().file(file);
    }

    /// True if `run` holds a saved state, damaged or not.
    public static boolean hasState(Path run) throws IOException {
        Path checkpoints = RunDirectory.checkpoints(run);
        return Files.isDirectory(checkpoints)
                && !CheckpointDirectory.open(checkpoints).list().isEmpty();
    }

    private Outcome run(Group world, boolean resumes) throws IOException {
        boolean isFirst = world.rank() == 0;
        Settings.check(config, world);
        try (RunDirectory directory =
                        isFirst ? RunDirectory.open(config.run()) : RunDirectory.ofAnotherRank(config.run());
                TrainingData data = TrainingData.open(config)) {
            Path found = isFirst ? prepare(directory, resumes) : null;
            Path checkpoint = agreed(world, found);
            PrecisionGap gap = gap(world, data, checkpoint);
            try (TrainLoop loop = new TrainLoop(config, data, directory, listener, world)) {
                if (checkpoint != null) {
                    loop.load(checkpoint);
                }
                loop.compare(gap);
                if (isFirst && data.validation() == null) {
                    listener.noted("no validation: " + config.data().directory() + " has no val*.bin of at least "
                            + (config.model().context() + 1) + " tokens");
                }
                return loop.run(() -> stop);
            }
        }
    }

    /// The first steps in full precision: made now, or by the run that is continued.
    private @Nullable PrecisionGap gap(Group world, TrainingData data, @Nullable Path checkpoint) throws IOException {
        if (!PrecisionGap.isWanted(config)) {
            return null;
        }
        TrainListener one = world.rank() == 0 ? listener : TrainListener.SILENT;
        return checkpoint == null
                ? PrecisionGap.measure(config, data, world, one, () -> stop)
                : PrecisionGap.load(config, CheckpointDirectory.stepOf(checkpoint), one);
    }

    /// What rank 0 does for all: looks for a state to go on from, and writes the configuration.
    private @Nullable Path prepare(RunDirectory directory, boolean resumes) throws IOException {
        Optional<Path> found = directory.checkpoints().newestVerified(listener::noted);
        if (found.isPresent() && !resumes) {
            throw new IllegalArgumentException("run directory " + config.run() + " already holds "
                    + found.get().getFileName() + "; continue it with: jacquard resume " + config.run()
                    + "; or choose another with --run");
        }
        directory.write(config);
        return found.orElse(null);
    }

    /// The state that rank 0 found, on all ranks.
    private @Nullable Path agreed(Group world, @Nullable Path found) {
        try (var _ = Scope.openWithoutGrad("state to go on from")) {
            long step = found == null ? -1 : CheckpointDirectory.stepOf(found);
            Tensor t = Tensor.of(Shape.of(2), (int) (step >>> 32), (int) step);
            world.broadcast(t, 0).join();
            int[] all = t.toInts();
            long agreed = (long) all[0] << 32 | all[1] & 0xffffffffL;
            return agreed < 0 ? null : RunDirectory.checkpoints(config.run()).resolve("step-" + agreed);
        }
    }
}
