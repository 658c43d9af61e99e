package io.jacquard.benchmarks.groups;

import io.jacquard.benchmarks.suite.BenchRecord;
import io.jacquard.group.Group;
import io.jacquard.group.LocalGroup;
import io.jacquard.ops.Ops;
import io.jacquard.parallel.Pipeline;
import io.jacquard.parallel.Schedule;
import io.jacquard.parallel.Stage;
import io.jacquard.parallel.Timeline;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// The bubble of each schedule, measured on ranks that are threads of this process: beside the formula of its paper,
/// and beside a simulation with the times that the instructions really took. The model is equal blocks of a norm and
/// two linears, so that stages are equally long.
public final class PipelineBenchmark {
    /// Of a stage forward, and of each part of backward.
    private static final long SLEEP_NANOS = 10_000_000;

    private final Map<String, Integer> numbers =
            new LinkedHashMap<>(Map.of("micro-batches", 8, "blocks", 8, "rows", 256, "width", 512, "repetitions", 7));
    private int[] ranks = {2, 4};
    private @Nullable Path pictures;
    private @Nullable BenchRecord record;

    private PipelineBenchmark(String[] args) throws IOException {
        for (int i = 0; i + 1 < args.length; i += 2) {
            switch (args[i]) {
                case "--ranks" ->
                    ranks = Arrays.stream(args[i + 1].split(",", -1))
                            .mapToInt(Integer::parseInt)
                            .toArray();
                case "--pictures" -> pictures = Path.of(args[i + 1]);
                case "--out" ->
                    record = new BenchRecord(
                            "pipeline", Path.of(args[i + 1]), BenchRecord.command("pipeline-benchmark", List.of(args)));
                default -> numbers.put(args[i].substring(2), Integer.valueOf(args[i + 1]));
            }
        }
    }

    /// `[--ranks 2,4] [--micro-batches 8] [--blocks 8] [--rows 256] [--width 512] [--repetitions 7] [--pictures
    /// DIRECTORY] [--out FILE]`
    public static void main(String[] args) throws IOException {
        new PipelineBenchmark(args).run();
    }

    private int number(String name) {
        return numbers.getOrDefault(name, 0);
    }

    private void run() throws IOException {
        System.out.println("| ranks | schedule | bubble by formula | with measured times | measured | step ms |"
                + " micro-batches kept by rank 0 | MiB |");
        System.out.println("| --- | --- | --- | --- | --- | --- | --- | --- |");
        for (int p : ranks) {
            int m = number("micro-batches");
            row(Schedule.gpipe(p, m), (p - 1) / (m + p - 1.0));
            row(Schedule.oneForwardOneBackward(p, m), (p - 1) / (m + p - 1.0));
            row(Schedule.interleaved(p, m, 2), (p - 1) / (2 * m + p - 1.0));
            row(Schedule.zeroBubble(p, m), (p - 1) / (3 * m + p - 1.0));
        }
        if (record != null) {
            record.write(true);
        }
        if (Arrays.stream(ranks).anyMatch(PipelineBenchmark::sleeps)) {
            System.out.println(
                    "\n\\* There are fewer processors than ranks: stages sleep as long as they would compute.");
        }
    }

    private static boolean sleeps(int ranks) {
        return ranks > Runtime.getRuntime().availableProcessors();
    }

    private void row(Schedule schedule, double formula) throws IOException {
        Measured best = measure(schedule);
        Timeline t = best.timeline;
        double simulated = schedule.simulate(t.cost()).bubble();
        System.out.printf(
                Locale.ROOT,
                "| %d%s | %s | %.1f %% | %.1f %% | %.1f %% | %.1f | %d%s | %s |%n",
                schedule.ranks(),
                sleeps(schedule.ranks()) ? "\\*" : "",
                schedule.name(),
                100 * formula,
                100 * simulated,
                100 * t.bubble(),
                t.duration() / 1e3,
                schedule.peakInFlight(0),
                schedule.chunks() == 1 ? "" : " halves",
                sleeps(schedule.ranks()) ? "-" : String.format(Locale.ROOT, "%.1f", best.peakBytes / 1048576.0));
        if (record != null) {
            Map<String, @Nullable Object> row = new LinkedHashMap<>();
            row.put("name", schedule.name());
            row.put("ranks", schedule.ranks());
            row.put("micro_batches", number("micro-batches"));
            row.put("sleeps", sleeps(schedule.ranks()));
            row.put("bubble_by_formula", formula);
            row.put("bubble_simulated", simulated);
            row.put("bubble", t.bubble());
            row.put("millis", t.duration() / 1e3);
            row.put("kept", schedule.peakInFlight(0) / (double) schedule.chunks());
            row.put("peak_bytes", sleeps(schedule.ranks()) ? null : best.peakBytes);
            record.add(row);
        }
        if (pictures != null) {
            String name = schedule.name().toLowerCase(Locale.ROOT).replace(' ', '-') + "-" + schedule.ranks() + ".svg";
            Files.createDirectories(pictures);
            Files.writeString(pictures.resolve(name), t.toSvg());
        }
    }

    /// @param peakBytes of activations on rank 0
    private record Measured(Timeline timeline, long peakBytes) {}

    /// The shortest of several steps: other work on the machine disturbs it least.
    private Measured measure(Schedule schedule) {
        List<Measured> steps = new ArrayList<>();
        LocalGroup.run(schedule.ranks(), group -> {
            try (Session session = Session.open("cpu");
                    Pipeline pipeline = new Pipeline(group, schedule, stages(group, schedule))) {
                long held = session.usedBytes();
                pipeline.run();
                for (int i = 0; i < number("repetitions"); i++) {
                    Timeline t = pipeline.timed();
                    if (group.rank() == 0) {
                        steps.add(new Measured(t, session.peakBytes() - held));
                    }
                }
            }
        });
        return steps.stream()
                .min((a, b) -> Long.compare(a.timeline.duration(), b.timeline.duration()))
                .orElseThrow();
    }

    private List<Stage> stages(Group group, Schedule schedule) {
        return IntStream.range(0, schedule.chunks())
                .map(c -> c * group.size() + group.rank())
                .<Stage>mapToObj(s -> sleeps(group.size())
                        ? new Sleeping(SLEEP_NANOS / schedule.chunks())
                        : new Blocks(s, schedule.stages()))
                .toList();
    }

    /// Takes `nanos` forward, and for the gradients of its input, and for that of its weight.
    private record Sleeping(long nanos, Tensor weight) implements Stage {
        Sleeping(long nanos) {
            this(nanos, Block.weight(random(1f, 1), "weight"));
        }

        @Override
        public Shape inputShape() {
            return weight.shape();
        }

        @Override
        public DType inputDType() {
            return weight.dtype();
        }

        @Override
        public Tensor forward(@Nullable Tensor x, int microBatch) {
            return Nap.of(x == null ? Tensor.zeros(weight.shape(), DType.F32).leaf() : x, weight, nanos);
        }
    }

    private record Nap(Tensor x, Tensor weight, long nanos) implements Node {
        static Tensor of(Tensor x, Tensor weight, long nanos) {
            sleep(nanos);
            return Tensor.zeros(x.shape(), x.dtype()).from(new Nap(x, weight, nanos));
        }

        private static void sleep(long nanos) {
            long end = System.nanoTime() + nanos;
            for (long left = nanos; left > 0; left = end - System.nanoTime()) {
                LockSupport.parkNanos(left);
            }
        }

        @Override
        public List<Tensor> inputs() {
            return List.of(x, weight);
        }

        @Override
        public void backward(Tensor dy, Gradients into) {
            into.add(x, this::write);
            into.add(weight, this::write);
        }

        private void write(Tensor gradient, float beta) {
            sleep(nanos);
            gradient.kernels().fill(gradient, 0f);
        }
    }

    /// Residual blocks. The first stage begins with random numbers, the last one ends in the sum of its
    /// activations.
    private final class Blocks implements Stage {
        private final int index;
        private final int stages;
        private final List<Block> blocks;
        private final Tensor input = random(1f, number("rows"), number("width"));

        Blocks(int index, int stages) {
            this.index = index;
            this.stages = stages;
            blocks = Stream.generate(() -> new Block(number("width")))
                    .limit(number("blocks") / stages)
                    .toList();
        }

        @Override
        public Shape inputShape() {
            return input.shape();
        }

        @Override
        public DType inputDType() {
            return input.dtype();
        }

        @Override
        public Tensor forward(@Nullable Tensor x, int microBatch) {
            Tensor h = index == 0 ? input : Objects.requireNonNull(x);
            for (Block b : blocks) {
                h = b.apply(h);
            }
            return index == stages - 1 ? Ops.sum(h) : h;
        }
    }

    private static final class Block {
        private final Tensor norm;
        private final Tensor up;
        private final Tensor down;

        Block(int width) {
            norm = weight(random(1f, width), "norm");
            up = weight(random(0.02f, 4 * width, width), "up");
            down = weight(random(0.02f, width, 4 * width), "down");
        }

        private static Tensor weight(Tensor value, String name) {
            return value.leaf(Tensor.zeros(value.shape(), DType.F32), name);
        }

        Tensor apply(Tensor x) {
            Tensor h = Ops.rmsNorm(x, null, norm, 1e-5f).value();
            return Ops.add(x, Ops.linear(Ops.linearGelu(h, up, null), down, null));
        }
    }

    private static Tensor random(float deviation, int... dims) {
        Tensor t = Tensor.empty(Shape.of(dims), DType.F32);
        t.kernels().random(t, deviation, 3, dims.length);
        return t;
    }
}
