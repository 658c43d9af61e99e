package io.jacquard.benchmarks.jmh;

import io.jacquard.benchmarks.suite.Lines;
import io.jacquard.benchmarks.suite.Row;
import io.jacquard.benchmarks.suite.Rows;
import io.jacquard.benchmarks.suite.StepRun;
import io.jacquard.nn.ModelSize;
import io.jacquard.train.Metrics;
import io.jacquard.train.TrainListener;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/// Whole optimizer steps of the product's trainer: forward, backward, clipping, AdamW. The trainer runs in a thread of
/// its own and stands still between invocations.
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(
        value = 2,
        jvmArgsAppend = {"--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC"
        })
@SuppressWarnings("NullAway.Init") // by JMH's calls of setup methods
public class StepBenchmark {
    @Param("cpu")
    private String device = "";

    @Param({"char-gpt", "gpt2-124m"})
    private String model = "";

    @Param("4")
    private int batch;

    @Param("256")
    private int time;

    @Param({"f32", "bf16"})
    private String dtype = "";

    private final SynchronousQueue<Boolean> steps = new SynchronousQueue<>();
    private final SynchronousQueue<Object> answers = new SynchronousQueue<>();
    private Thread trainer;

    private static final class Enough extends RuntimeException {
        private static final long serialVersionUID = 1;

        Enough() {
            super("no more steps", null, false, false);
        }
    }

    private final class Waiting implements TrainListener {
        @Override
        public void stepped(Metrics.Step step) {
            try {
                answers.put((double) step.loss());
                if (!steps.take()) {
                    throw new Enough();
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new Enough();
            }
        }
    }

    /// Ends with the first step done.
    @Setup
    public void start() throws InterruptedException {
        Row row = Rows.step(ModelSize.of(model), batch, time, false, 3e-4, dtype);
        trainer = Thread.ofPlatform().name("trainer").start(() -> {
            @Nullable Throwable failure = null;
            try {
                Path directory = Files.createTempDirectory("step");
                StepRun.start(Lines.JSON.valueToTree(row.spec()), device, directory, new Waiting());
            } catch (Enough _) {
                return;
            } catch (IOException e) {
                failure = new UncheckedIOException(e);
            } catch (RuntimeException | Error e) {
                failure = e;
            }
            if (failure != null) {
                answers.offer(failure);
            }
        });
        answer();
    }

    private double answer() throws InterruptedException {
        Object answer = answers.take();
        if (answer instanceof Double loss) {
            return loss;
        }
        throw new IllegalStateException("the training ended", (Throwable) answer);
    }

    /// @return the loss
    @Benchmark
    public double step() throws InterruptedException {
        steps.put(true);
        return answer();
    }

    @TearDown
    public void stop() throws InterruptedException {
        steps.put(false);
        trainer.join();
    }
}
