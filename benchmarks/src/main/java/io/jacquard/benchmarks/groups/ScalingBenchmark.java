package io.jacquard.benchmarks.groups;

import io.jacquard.benchmarks.suite.BenchRecord;
import io.jacquard.group.Group;
import io.jacquard.group.LocalGroup;
import io.jacquard.nn.Decoder;
import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.Weights;
import io.jacquard.optim.AdamW;
import io.jacquard.optim.AdamWSettings;
import io.jacquard.optim.Shards;
import io.jacquard.parallel.BatchShare;
import io.jacquard.parallel.Mesh;
import io.jacquard.parallel.MeshModel;
import io.jacquard.parallel.Pipeline;
import io.jacquard.parallel.Schedule;
import io.jacquard.parallel.StepInputs;
import io.jacquard.parallel.Topology;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/// Whole training steps of one rank and of two, as threads with one core each, in turns: how much faster two are, and
/// what a rank sends in a step beside what the way of sharing the work calls for.
public final class ScalingBenchmark {
    private static final DecoderConfig MODEL = DecoderConfig.gpt2(4096, 128, 4, 8, 256);
    private static final int ROWS = 4;
    private static final int MICRO_BATCHES = 4;
    private static final int STEPS = 3;
    private static final int ROUNDS = 5;

    /// @param formula bytes that a rank sends in a step, by what is divided
    private record Way(String name, Topology topology, int zero, ToLongFunction<Sizes> formula) {}

    /// Bytes of what is sent, all in F32.
    ///
    /// @param all weights, or gradients
    /// @param blocks those of all blocks
    /// @param copies those that tensor ranks hold each
    /// @param stream activations between two blocks, of one micro-batch of one rank alone
    private record Sizes(long all, long blocks, long copies, long stream) {}

    private ScalingBenchmark() {}

    /// `[--out FILE]`: prints a table and writes a record.
    public static void main(String[] args) throws IOException {
        List<Way> ways = List.of(
                new Way("one rank", Topology.ONE, 1, s -> 0),
                new Way("data, ZeRO-1", new Topology(2, 1, 1), 1, s -> s.all / 2 + s.all / 2),
                new Way("data, ZeRO-2", new Topology(2, 1, 1), 2, s -> {
                    // each of two micro-batches sums the blocks, the last one the rest
                    return (2 * s.blocks + (s.all - s.blocks)) / 2 + s.all / 2;
                }),
                new Way("data, ZeRO-3", new Topology(2, 1, 1), 3, s -> {
                    // blocks are gathered on the way forth and back, but for the two that are still there at each turn:
                    // 4 blocks, 2 micro-batches, 3 turns
                    long gathered = s.blocks / 4 * (2 * 2 * 4 - 3 * 2);
                    return (2 * s.blocks + (s.all - s.blocks)) / 2 + (gathered + s.all - s.blocks) / 2;
                }),
                // each block gathers and scatters its rows twice in each direction, embedding and head once
                new Way(
                        "tensor",
                        new Topology(1, 2, 1),
                        1,
                        s -> 2L * MICRO_BATCHES * (4 * MODEL.layers() + 2) * s.stream / 2 + s.copies),
                // activations forth, gradients back; the tied table's gradient is summed over both ends
                new Way(
                        "pipeline",
                        new Topology(1, 1, 2),
                        1,
                        s -> (long) MICRO_BATCHES * s.stream + 4L * MODEL.vocabulary() * MODEL.width()));
        double[][] millis = new double[ways.size()][ROUNDS];
        long[] sent = new long[ways.size()];
        for (int round = 0; round < ROUNDS; round++) {
            for (int w = 0; w < ways.size(); w++) {
                Measured m = measure(ways.get(w));
                millis[w][round] = m.millis;
                sent[w] = m.sent;
            }
        }
        BenchRecord record = args.length == 2 && args[0].equals("--out")
                ? new BenchRecord("scaling", Path.of(args[1]), BenchRecord.command("scaling-benchmark", List.of(args)))
                : null;
        print(ways, millis, sent, record);
        if (record != null) {
            record.write(true);
        }
    }

    private static void print(List<Way> ways, double[][] millis, long[] sent, @Nullable BenchRecord record)
            throws IOException {
        System.out.println("| two ranks share | step ms | times one rank | MiB sent by rank 0 | by formula |");
        System.out.println("| --- | --- | --- | --- | --- |");
        for (int w = 0; w < ways.size(); w++) {
            double[] ratios = new double[ROUNDS];
            for (int i = 0; i < ROUNDS; i++) {
                ratios[i] = millis[0][i] / millis[w][i];
            }
            Map<String, @Nullable Object> row = new LinkedHashMap<>();
            row.put("name", ways.get(w).name);
            long formula = ways.get(w).formula.applyAsLong(sizes());
            row.put("millis", median(millis[w]));
            row.put("all_millis", millis[w]);
            row.put("ratio", median(ratios));
            row.put("bytes_sent", sent[w]);
            row.put("bytes_by_formula", formula);
            if (record != null) {
                record.add(row);
            }
            System.out.printf(
                    Locale.ROOT,
                    "| %s | %.1f | %.2f | %.2f | %.2f |%n",
                    ways.get(w).name,
                    median(millis[w]),
                    median(ratios),
                    sent[w] / 1048576.0,
                    formula / 1048576.0);
        }
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }

    private static Sizes sizes() {
        Weights weights = new Weights();
        Decoder.of(MODEL, weights);
        long blocks = 0;
        long copies = 0;
        for (Weights.Segment s : weights.segments()) {
            blocks += s.isBlock() ? 4 * s.elements() : 0;
            copies += s.name().equals("copies") ? 4 * s.elements() : 0;
        }
        return new Sizes(4 * weights.elements(), blocks, copies, 4L * ROWS * MODEL.context() * MODEL.width());
    }

    private record Measured(double millis, long sent) {}

    /// The mean of a few steps after the first.
    private static Measured measure(Way way) {
        AtomicLong sent = new AtomicLong();
        AtomicLong nanos = new AtomicLong();
        LocalGroup.run(way.topology.ranks(), g -> {
            AtomicLong mine = new AtomicLong();
            try (Session _ = Session.open("cpu");
                    Mesh mesh = new Mesh(new CountingGroup(g, mine), way.topology)) {
                steps(way, mesh, g, mine, nanos);
                if (g.rank() == 0) {
                    sent.set(mine.get() / STEPS);
                }
            }
        });
        return new Measured(nanos.get() / 1e6 / STEPS, sent.get());
    }

    private static void steps(Way way, Mesh mesh, Group world, AtomicLong sent, AtomicLong nanos) {
        BatchShare share = BatchShare.of(ROWS, MICRO_BATCHES, mesh.data());
        var plan = new MeshModel.Plan(1, new Shards.Plan(way.zero, share.microBatches()), DType.F32, DType.F32);
        MeshModel model = MeshModel.of(MODEL, mesh, plan, 1);
        StepInputs inputs = new StepInputs(share, MODEL.context(), way.zero == 3, false, 1);
        Schedule schedule = Schedule.oneForwardOneBackward(way.topology.pipeline(), share.microBatches());
        try (Pipeline pipeline = new Pipeline(mesh.pipeline(), schedule, model.stages(inputs))) {
            AdamW optimizer = new AdamW(model.shards(), AdamWSettings.DEFAULT);
            Tensor rate = Tensor.of(Shape.of(1), 1e-3f);
            int size = share.microBatches() * share.rows() * MODEL.context();
            int[] tokens =
                    new SplittableRandom(3).ints(size, 0, MODEL.vocabulary()).toArray();
            inputs.set(0, tokens, tokens, (long) ROWS * MICRO_BATCHES * MODEL.context());
            long start = 0;
            for (int i = 0; i <= STEPS; i++) {
                if (i == 1) { // the first step warms up
                    world.barrier();
                    sent.set(0);
                    start = System.nanoTime();
                }
                model.shards().begin();
                try (var _ = Scope.open("step")) {
                    pipeline.run();
                    optimizer.step(rate);
                }
            }
            world.barrier();
            if (world.rank() == 0) {
                nanos.set(System.nanoTime() - start);
            }
        }
    }
}
