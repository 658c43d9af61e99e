package io.jacquard.check;

import io.jacquard.io.AtomicFiles;
import io.jacquard.train.ConfigReader;
import io.jacquard.train.Metrics;
import io.jacquard.train.TrainListener;
import io.jacquard.train.Trainer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// The losses of the quickstart model, step by step, against those of the CPU: `CurveSection full|small`. The small
/// one is for devices that take minutes for a step.
///
/// How far two right runs drift apart is measured beside it, with the CPU:
/// - f32: by a run whose micro-batches are half as large, which changes nothing but the order of sums. The device may
///   be four times as far off, and 2^-18 of the loss: some tens of roundings of 2^-24.
/// - bf16: by the distance of bf16 from f32. The device may be twice as far from the CPU's bf16, and 2^-9 of the
///   loss: half of the last of 8 bits.
final class CurveSection {
    private static final String FULL = """
            model: {layers: 4, heads: 6, width: 192, context: 256}
            training: {steps: 60, microBatch: 8}
            """;

    private static final String SMALL = """
            model: {layers: 1, heads: 2, width: 16, context: 16}
            training: {steps: 6, microBatch: 2}
            """;

    private final String size;
    private final Path folder;

    private CurveSection(String size, Path folder) {
        this.size = size;
        this.folder = folder;
    }

    public static void main(String[] arguments) throws IOException {
        Path folder = Files.createTempDirectory("jacquard-curve");
        try {
            new CurveSection(arguments[0], folder).run();
        } finally {
            AtomicFiles.deleteTree(folder);
        }
    }

    private void run() {
        Findings.expect(3);
        List<Double> exact = losses("cpu f32", "cpu", "f32", 1);
        List<Double> reordered = losses("cpu f32 in other order", "cpu", "f32", 2);
        List<Double> rounded = losses("cpu bf16", "cpu", "bf16", 1);
        Findings.test("f32", () -> compare(exact, losses("cuda f32", "cuda", "f32", 1), exact, reordered, 4, 0x1p-18));
        Findings.test(
                "bf16", () -> compare(rounded, losses("cuda bf16", "cuda", "bf16", 1), exact, rounded, 2, 0x1p-9));
        Findings.test("it learns", () -> {
            double first = exact.getFirst();
            double last = exact.getLast();
            if (!(last < first * (size.equals("full") ? 0.8 : 1))) {
                throw new AssertionError("the loss went from " + first + " to " + last);
            }
        });
    }

    private static void compare(
            List<Double> expected, List<Double> got, List<Double> a, List<Double> b, double times, double share) {
        double drift = 0;
        double used = 0;
        for (int i = 0; i < expected.size(); i++) {
            drift = Math.max(drift, Math.abs(a.get(i) - b.get(i)));
            double allowed = times * drift + share * expected.get(i);
            double off = Math.abs(expected.get(i) - got.get(i));
            used = Math.max(used, off / allowed);
            if (!(off <= allowed)) {
                throw new AssertionError("step " + (i + 1) + ": loss " + got.get(i) + ", the CPU's " + expected.get(i)
                        + ", off by " + off + ", allowed " + allowed);
            }
        }
        Findings.fact("largest difference in shares of what is allowed, " + (share < 0x1p-9 ? "f32" : "bf16"), used);
    }

    private List<Double> losses(String name, String device, String dtype, int parts) {
        List<Double> losses = new ArrayList<>();
        ConfigReader reader = new ConfigReader().yaml("gpu-check", size.equals("full") ? FULL : SMALL);
        int rows = size.equals("full") ? 8 : 2;
        try {
            new Trainer(
                            reader.yaml("gpu-check", """
                            optimizer: {learningRate: 2e-3, beta2: 0.99, warmup: 5}
                            evaluation: {every: 0, sequences: 1}
                            checkpoints: {every: 0}
                            """)
                                    .set("training.microBatch", rows / parts, "gpu-check")
                                    .set("training.accumulation", parts, "gpu-check")
                                    .set("training.dtype", dtype, "gpu-check")
                                    .set("training.graph", !device.equals("cpu"), "gpu-check")
                                    .set("device", device, "gpu-check")
                                    .set("data.directory", Manifest.root().resolve("data/quickstart"), "gpu-check")
                                    .set("run", folder.resolve(name.replace(' ', '-')), "gpu-check")
                                    .read(),
                            new TrainListener() {
                                @Override
                                public void stepped(Metrics.Step step) {
                                    losses.add((double) step.loss());
                                }
                            })
                    .start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Findings.fact(name, List.copyOf(losses));
        return losses;
    }
}
