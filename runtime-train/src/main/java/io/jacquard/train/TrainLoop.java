package io.jacquard.train;

import io.jacquard.data.Batches;
import io.jacquard.io.CheckpointSaver;
import io.jacquard.nn.Decoder;
import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.Weights;
import io.jacquard.optim.Optimizer;
import io.jacquard.optim.Schedule;
import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.spi.Energy;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/// The steps of one run from wherever it stands to its end, with what happens between steps.
///
/// A step is launched before the loss of the one before is read, so that the device never waits for the host; unless
/// that loss is there already, as on the CPU, or something happens between the two, which sees the weights after the
/// one and before the other.
final class TrainLoop implements AutoCloseable {
    private static final int SAMPLE_SEED = 1;

    private final TrainConfig config;
    private final TrainingData data;
    private final TrainListener listener;
    private final RunDirectory directory;
    private final CheckpointSaver saver;
    private final Decoder decoder;
    private final Optimizer optimizer;
    private final Schedule schedule;
    private final TrainStep step;

    /// A step that was launched and whose loss was not read yet.
    private record Flight(TrainStep.Launched launched, float rate, StepEvent event, long began) {}

    private final Energy energy = Session.current().backend().energy();

    private @Nullable Flight flight;
    private long launched;
    private long done;
    private long tokens;
    private double secondsBefore;
    private long began;
    private long readAt;
    private double joulesAtStart;
    private double joulesBefore;
    private double joulesAtRead;
    private long saved = -1;
    private long scored = -1;
    private int refused;
    private @Nullable Score score;
    private float loss = Float.NaN;

    /// Makes the model in the current scope.
    TrainLoop(TrainConfig config, TrainingData data, RunDirectory directory, TrainListener listener)
            throws IOException {
        this.config = config;
        this.data = data;
        this.directory = directory;
        this.listener = listener;
        Weights weights = new Weights();
        decoder = Decoder.of(shape(), weights);
        weights.allocate(
                config.training().dtype().dtype(),
                config.training().gradientDtype().dtype(),
                config.training().seed());
        optimizer = Optimizers.optimizer(config.optimizer(), weights);
        schedule = Optimizers.schedule(config.optimizer(), config.training().steps());
        step = new TrainStep(decoder, optimizer, data.train(), config);
        saver = new CheckpointSaver(
                directory.checkpoints(), config.checkpoints().keep(), 0);
    }

    private DecoderConfig shape() {
        TrainConfig.Model m = config.model();
        return new DecoderConfig(
                ConfigKey.spelling(m.type()),
                data.tokenizer().vocabularySize(),
                m.context(),
                m.layers(),
                m.heads(),
                m.effectiveKvHeads(),
                m.width(),
                m.effectiveHidden(),
                1e-5f,
                10000f,
                m.dropout(),
                m.tied());
    }

    /// Goes on from a checkpoint.
    void load(Path checkpoint) throws IOException {
        SavedState.Position at = SavedState.load(checkpoint, decoder, optimizer, plan());
        done = at.step();
        launched = done;
        saved = done;
        tokens = at.tokens();
        secondsBefore = at.seconds();
        joulesBefore = at.joules();
    }

    /// What the data of a step depend on, beside the step itself.
    private Map<String, Object> plan() {
        Map<String, Object> plan = new TreeMap<>();
        plan.put("training.seed", config.training().seed());
        plan.put("model.context", (long) config.model().context());
        plan.put(
                "sequences per step",
                (long) config.training().microBatch() * config.training().accumulation());
        plan.put("tokens of the training data", data.train().tokens());
        return plan;
    }

    Trainer.Outcome run(BooleanSupplier stop) throws IOException {
        began = System.nanoTime();
        readAt = began;
        joulesAtStart = joules();
        long steps = config.training().steps();
        boolean interrupted = false;
        try (Metrics metrics = Metrics.open(directory.metrics(), done)) {
            if (done < steps) {
                step.load(done);
            }
            listener.started(config, decoder.weights().count(), data.train().tokens(), done);
            tellWhatIsNotAsAsked();
            while (launched < steps && !timeIsUp() && !interrupted) {
                Flight before = flight;
                if (before == null) {
                    joulesAtRead = joules();
                }
                flight = launch();
                if (before != null) {
                    read(before, metrics);
                }
                if (launched < steps) {
                    step.load(launched); // while the device works
                }
                if (flight.launched.isDone() || isDueAt(launched)) {
                    land(metrics);
                }
                interrupted = stop.getAsBoolean();
                if (flight == null && !interrupted) {
                    between(metrics);
                }
            }
            land(metrics);
            finish(metrics, interrupted);
        }
        return new Trainer.Outcome(
                done,
                done >= steps || timeIsUp() && !interrupted,
                loss,
                score,
                saved < 0 ? null : RunDirectory.checkpoints(config.run()).resolve("step-" + saved),
                Trainer.Energy.of(joulesOfRun(), tokens, config));
    }

    private void tellWhatIsNotAsAsked() {
        if (config.training().graph() && Session.current().isDebugging()) {
            listener.noted("debugging looks at each launch, so steps run eagerly: training.graph is set aside");
        }
        if (Double.isNaN(joulesAtStart)) {
            listener.noted("energy is not measured: " + energy.source());
        } else if (Double.isNaN(joulesBefore)) {
            listener.noted("energy was not measured before step " + done + ": no total at the end");
        }
    }

    private double seconds() {
        return secondsBefore + (System.nanoTime() - began) / 1e9;
    }

    private double joules() {
        return energy.joules().orElse(Double.NaN);
    }

    private double joulesOfRun() {
        return joulesBefore + joules() - joulesAtStart;
    }

    private boolean timeIsUp() {
        double limit = config.training().minutes();
        return limit > 0 && seconds() >= 60 * limit;
    }

    private Flight launch() {
        StepEvent event = new StepEvent();
        event.begin();
        long start = System.nanoTime();
        float rate = schedule.at(launched);
        Flight f = new Flight(step.launch(rate), rate, event, start);
        launched++;
        return f;
    }

    /// Reads the step under way, if there is one: afterwards the device has nothing to do.
    private void land(Metrics metrics) throws IOException {
        Flight f = flight;
        flight = null;
        if (f != null) {
            read(f, metrics);
        }
    }

    private void read(Flight f, Metrics metrics) throws IOException {
        TrainStep.Result r = f.launched.result();
        // A step that was launched behind another one begins when that one ends.
        long start = Math.max(f.began, readAt);
        readAt = System.nanoTime();
        double joulesBeforeStep = joulesAtRead;
        joulesAtRead = joules();
        double joules = joulesAtRead - joulesBeforeStep;
        done++;
        tokens += config.tokensPerStep();
        loss = r.loss();
        f.event.step = done;
        f.event.loss = loss;
        f.event.tokens = config.tokensPerStep();
        f.event.applied = r.finite();
        f.event.commit();
        Metrics.Step line = new Metrics.Step(
                done,
                r.loss(),
                f.rate,
                r.gradientNorm(),
                tokens,
                config.tokensPerStep() * 1e9 / (readAt - start),
                seconds(),
                r.finite(),
                joules,
                joules / config.tokensPerStep());
        metrics.step(line);
        listener.stepped(line);
        if (r.finite()) {
            refused = 0;
        } else {
            refuse(r);
        }
    }

    private void refuse(TrainStep.Result r) throws IOException {
        refused++;
        String what = "step " + done + " was not applied: loss " + r.loss() + ", gradient norm " + r.gradientNorm();
        if (refused < config.training().nonFiniteLimit()) {
            listener.noted(what);
            return;
        }
        saver.await();
        throw new IllegalStateException(what + "; " + refused + " such steps in a row (training.nonFiniteLimit) stop"
                + " the run; " + (saved < 0 ? "nothing was saved" : "the last good state is step " + saved)
                + "; try a lower optimizer.learningRate or a longer optimizer.warmup");
    }

    private void between(Metrics metrics) throws IOException {
        if (isDue(config.evaluation().every(), done)) {
            validate(metrics);
        }
        if (isDue(config.samples().every(), done)) {
            sample(metrics);
        }
        if (isDue(config.checkpoints().every(), done)) {
            save(metrics);
        }
    }

    /// Whether something has to happen between this step and the next.
    private boolean isDueAt(long step) {
        return isDue(config.evaluation().every(), step)
                || isDue(config.samples().every(), step)
                || isDue(config.checkpoints().every(), step);
    }

    private static boolean isDue(long every, long step) {
        return every > 0 && step % every == 0;
    }

    private void validate(Metrics metrics) throws IOException {
        Batches validation = data.validation();
        if (validation == null || scored == done) {
            return;
        }
        scored = done;
        score = new Evaluator(decoder, data.tokenizer(), config.evaluation().batch())
                .score(validation, config.evaluation().sequences());
        metrics.validation(done, score);
        listener.validated(done, score);
        LossCurve.draw(directory.metrics(), listener);
    }

    private void sample(Metrics metrics) throws IOException {
        TrainConfig.Samples s = config.samples();
        StringBuilder text = new StringBuilder(s.prompt());
        new Generator(decoder, data.tokenizer())
                .generate(
                        s.prompt(), s.tokens(), new Sampling(s.temperature(), s.topK(), 1f), SAMPLE_SEED, text::append);
        metrics.sample(done, text.toString());
        listener.sampled(done, text.toString());
    }

    private void save(Metrics metrics) throws IOException {
        if (saved == done) {
            return;
        }
        if (refused > 0) {
            // The weights are those of the last good step, but whatever spoiled the step may be in them.
            listener.noted("step " + done + " is not saved: its loss or gradient was not finite");
            return;
        }
        metrics.sync();
        SavedState state = SavedState.of(
                new SavedState.Position(done, tokens, seconds(), joulesOfRun(), plan()), decoder, optimizer, data);
        try {
            saver.save(done, state::write);
        } catch (IOException | RuntimeException e) {
            state.free();
            throw e;
        }
        saved = done;
        listener.saving(done, RunDirectory.checkpoints(config.run()).resolve("step-" + done));
    }

    private void finish(Metrics metrics, boolean interrupted) throws IOException {
        if (!interrupted) {
            validate(metrics);
        }
        save(metrics);
        saver.await();
        metrics.sync();
        if (data.validation() == null || interrupted) {
            LossCurve.draw(directory.metrics(), listener);
        }
    }

    @Override
    public void close() throws IOException {
        try (saver) {
            abandon();
            step.close();
        }
    }

    /// Waits for a step whose loss nobody will read: its memory is about to be freed.
    private void abandon() {
        if (flight != null) {
            try {
                flight.launched.result();
            } catch (DeviceException _) {
                // thrown before, by what ended the run
            }
        }
    }
}
