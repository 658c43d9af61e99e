package io.jacquard.train;

import io.jacquard.data.Batches;
import io.jacquard.group.Group;
import io.jacquard.io.CheckpointSaver;
import io.jacquard.io.RankParts;
import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.Precision;
import io.jacquard.ops.LinearWatch;
import io.jacquard.optim.Optimizer;
import io.jacquard.optim.Schedule;
import io.jacquard.optim.Shards;
import io.jacquard.parallel.BatchShare;
import io.jacquard.parallel.Mesh;
import io.jacquard.parallel.MeshModel;
import io.jacquard.parallel.Topology;
import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.spi.Energy;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/// The steps of one run from wherever it stands to its end, with what happens between steps.
///
/// A step is launched before the loss of the one before is read, so that the device never waits for the host; unless
/// that loss is there already, as on the CPU, or something happens between the two, which sees the weights after the
/// one and before the other.
///
/// Every rank runs the same loop and comes to the same decisions; rank 0 alone writes and tells what happens.
final class TrainLoop implements AutoCloseable {
    private static final int SAMPLE_SEED = 1;

    /// For another rank's part of a checkpoint: as long as writing may take on a slow disk.
    private static final Duration PATIENCE = Duration.ofMinutes(10);

    private final TrainConfig config;
    private final TrainingData data;
    private final TrainListener listener;
    private final RunDirectory directory;
    private final RankParts parts;
    private final CheckpointSaver saver;
    private final Mesh mesh;
    private final MeshModel model;
    private final Optimizer optimizer;
    private final Schedule schedule;
    private final TrainStep step;
    private final MemoryUse memory;
    private @Nullable PrecisionGap gap;

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
    private long lastStep = Long.MAX_VALUE;
    private boolean wasStopped;

    /// Makes this rank's part of the model in the current scope. All ranks of `world` must call.
    TrainLoop(TrainConfig config, TrainingData data, RunDirectory directory, TrainListener listener, Group world)
            throws IOException {
        this.config = config;
        this.data = data;
        this.directory = directory;
        mesh = new Mesh(world, topology(config.parallel(), world));
        this.listener = isFirst() ? listener : TrainListener.SILENT;
        long before = Session.current().usedBytes();
        TrainConfig.Training t = config.training();
        model = model(config, data, mesh, new Precision(t.precision(), t.precisionEnds()));
        optimizer = Optimizers.optimizer(config, model.shards());
        memory = MemoryUse.of(model, optimizer, Session.current().usedBytes() - before);
        schedule = Optimizers.schedule(config.optimizer(), config.training().steps());
        step = new TrainStep(model, optimizer, data.train(), config);
        parts = new RankParts(RunDirectory.checkpoints(config.run()), SavedState.part(mesh), PATIENCE);
        saver = saver();
    }

    /// The model of a configuration, in another precision than that says.
    static MeshModel model(TrainConfig config, TrainingData data, Mesh mesh, Precision precision) {
        return MeshModel.of(
                shape(config, data),
                mesh,
                plan(config, mesh, precision),
                config.training().seed());
    }

    static Topology topology(TrainConfig.Parallel p, Group world) {
        int rest = Math.max(1, world.size() / Math.multiplyExact(p.tensor(), p.pipeline()));
        return new Topology(p.data() == 0 ? rest : p.data(), p.tensor(), p.pipeline());
    }

    private static MeshModel.Plan plan(TrainConfig config, Mesh mesh, Precision precision) {
        TrainConfig.Training t = config.training();
        int microBatches =
                BatchShare.of(t.microBatch(), t.accumulation(), mesh.data()).microBatches();
        return new MeshModel.Plan(
                config.parallel().chunks(),
                new Shards.Plan(config.parallel().zero(), microBatches),
                t.dtype().dtype(),
                t.gradientDtype().dtype(),
                precision);
    }

    private boolean isFirst() {
        return mesh.world().rank() == 0;
    }

    private static DecoderConfig shape(TrainConfig config, TrainingData data) {
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

    /// Ranks that hold different weights write different files, which the first one puts together.
    private CheckpointSaver saver() throws IOException {
        return parts.isFirst()
                ? new CheckpointSaver(
                        directory.checkpoints(), config.checkpoints().keep(), 0)
                : new CheckpointSaver(parts::deliver);
    }

    /// Compares with what was measured before the run.
    void compare(@Nullable PrecisionGap gap) {
        this.gap = isFirst() ? gap : null;
    }

    /// Goes on from a checkpoint.
    void load(Path checkpoint) throws IOException {
        SavedState.Position at = SavedState.load(checkpoint, model, optimizer, plan());
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
        try (Metrics metrics = isFirst() ? Metrics.open(directory.metrics(), done) : Metrics.none()) {
            if (done < steps) {
                step.load(done);
            }
            listener.started(
                    config,
                    MeshModel.parameters(shape(config, data)),
                    data.train().tokens(),
                    done);
            tellWhatIsNotAsAsked();
            while (launched < steps && launched < lastStep && !(isAlone() && timeIsUp()) && !interrupted) {
                Flight before = flight;
                if (before == null) {
                    joulesAtRead = joules();
                }
                flight = launch(stop);
                if (before != null) {
                    read(before, metrics);
                }
                if (launched < steps) {
                    step.load(launched); // while the device works
                }
                if (flight.launched.isDone() || isDueAt(launched)) {
                    land(metrics);
                }
                interrupted = isAlone() && stop.getAsBoolean();
                if (flight == null && !interrupted) {
                    between(metrics);
                }
            }
            land(metrics);
            interrupted |= wasStopped;
            finish(metrics, interrupted);
        }
        return new Trainer.Outcome(
                done,
                done >= steps || !interrupted,
                loss,
                score,
                saved < 0 ? null : RunDirectory.checkpoints(config.run()).resolve("step-" + saved),
                Trainer.Energy.of(joulesOfRun(), tokens, config));
    }

    /// What model and optimizer take on this rank.
    MemoryUse memory() {
        return memory;
    }

    /// Whether nobody else has to agree to what this rank decides.
    private boolean isAlone() {
        return mesh.world().size() == 1;
    }

    private void tellWhatIsNotAsAsked() {
        if (!isAlone()) {
            listener.noted("mesh " + mesh.topology() + ": " + memory);
        }
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

    private Flight launch(BooleanSupplier stop) {
        StepEvent event = new StepEvent();
        event.begin();
        long start = System.nanoTime();
        float rate = schedule.at(launched);
        boolean isStopped = stop.getAsBoolean();
        boolean isTimeUp = isFirst() && timeIsUp();
        Flight f = new Flight(step.launch(rate, isStopped, isTimeUp), rate, event, start);
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
        if (!isAlone() && (r.isInterrupted() || r.isTimeUp()) && lastStep == Long.MAX_VALUE) {
            // When ranks read this differs by a step: the next one may be under way already on some.
            lastStep = done + 1;
            wasStopped = r.isInterrupted();
        }
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
        if (gap != null) {
            gap.stepped(done, r.loss(), listener);
        }
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
        score = new Evaluator(
                        model::tokenLosses,
                        model.decoder().config().vocabulary(),
                        data.tokenizer(),
                        config.evaluation().batch(),
                        mesh.data())
                .score(validation, config.evaluation().sequences());
        metrics.validation(done, score);
        listener.validated(done, score);
        draw();
    }

    private void draw() throws IOException {
        if (isFirst()) {
            LossCurve.draw(directory.metrics(), listener);
        }
    }

    private void sample(Metrics metrics) throws IOException {
        TrainConfig.Samples s = config.samples();
        StringBuilder text = new StringBuilder(s.prompt());
        new Generator(model.decoder(), data.tokenizer())
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
                new SavedState.Position(done, tokens, seconds(), joulesOfRun(), plan()), model, optimizer, data);
        if (mesh.tensor().rank() > 0) { // those of its layers' first rank are the whole
            state.free();
        } else {
            write(state);
        }
        if (gap != null) {
            gap.save();
        }
        saved = done;
        listener.saving(done, RunDirectory.checkpoints(config.run()).resolve("step-" + done));
    }

    private void write(SavedState state) throws IOException {
        long at = done;
        try {
            saver.save(at, d -> {
                state.write(d);
                if (parts.isFirst()) {
                    parts.collect(at, d);
                }
            });
        } catch (IOException | RuntimeException e) {
            state.free();
            throw e;
        }
    }

    private void finish(Metrics metrics, boolean interrupted) throws IOException {
        if (!interrupted) {
            validate(metrics);
        }
        save(metrics);
        if (!interrupted && PrecisionGap.isWanted(config)) {
            reportGap();
        }
        saver.await();
        metrics.sync();
        if (data.validation() == null || interrupted) {
            draw();
        }
    }

    /// After the last state is saved: counting changes gradients and scales.
    private void reportGap() throws IOException {
        RoundingErrors errors = new RoundingErrors();
        step.load(Math.max(0, done - 1));
        LinearWatch.watch(errors, step::gradients);
        if (gap != null) {
            gap.report(errors, listener);
        }
    }

    @Override
    public void close() throws IOException {
        try (saver;
                mesh) {
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
