package io.jacquard.benchmarks;

import io.jacquard.nn.Decoder;
import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.Pass;
import io.jacquard.nn.Weights;
import io.jacquard.optim.AdamW;
import io.jacquard.optim.AdamWSettings;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/// Jacquard's side of the step benchmark: the same models, the same step and the same protocol on stdin and stdout as
/// `torch_step.py`, so that [StepBenchmark] can alternate between the two.
public final class StepServer {
    private final Decoder model;
    private final AdamW optimizer;
    private final Tensor scale;
    private final Tensor learningRate;
    private final int batch;
    private final Random random = new Random(7);

    private StepServer(Decoder model, int batch) {
        this.model = model;
        this.batch = batch;
        optimizer = new AdamW(model.weights(), AdamWSettings.DEFAULT);
        scale = Tensor.of(Shape.of(1), 1f / (batch * model.config().context()));
        learningRate = Tensor.of(Shape.of(1), 3e-4f);
    }

    /// The models of the benchmark; sizes as in `torch_step.py`.
    static DecoderConfig config(String model) {
        return switch (model) {
            case "char-gpt" -> DecoderConfig.gpt2(128, 256, 6, 6, 384);
            case "gpt2-124m" -> DecoderConfig.gpt2(50304, 256, 12, 12, 768);
            default ->
                throw new IllegalArgumentException("model '" + model + "' is unknown; char-gpt and gpt2-124m are");
        };
    }

    static int batch(String model) {
        return model.equals("char-gpt") ? 8 : 4;
    }

    public static void main(String[] args) throws IOException {
        try (Session session = Session.open("cpu")) {
            StepServer server = create(args[0], args[1]);
            System.out.println("{\"ready\": true, \"parameters\": "
                    + server.model.weights().count() + ", \"device\": \"" + session.device() + "\"}");
            server.serve();
        }
    }

    /// A model of the benchmark with its optimizer, in the open session.
    static StepServer create(String model, String precision) {
        DType dtype = precision.equals("bf16") ? DType.BF16 : DType.F32;
        Weights weights = new Weights();
        Decoder decoder = Decoder.of(config(model), weights);
        weights.allocate(dtype, dtype, 1337);
        return new StepServer(decoder, batch(model));
    }

    private void serve() throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null && !line.equals("quit"); line = in.readLine()) {
            String[] words = line.split(" ", 2);
            int steps = Integer.parseInt(words[1]);
            List<Double> millis = new ArrayList<>();
            List<Float> losses = new ArrayList<>();
            for (int i = 0; i < steps; i++) {
                step(millis, losses);
            }
            System.out.println(
                    words[0].equals("warmup")
                            ? "{\"warmup\": " + steps + "}"
                            : "{\"run\": " + steps + ", \"step_ms\": " + millis + ", \"losses\": " + losses
                                    + ", \"peak_rss_bytes\": " + peakResidentBytes() + "}");
        }
    }

    /// One step; adds its time and its loss.
    void step(List<Double> millis, List<Float> losses) {
        int n = batch * model.config().context();
        int[] tokens = random.ints(n, 0, model.config().vocabulary()).toArray();
        int[] labels = new int[n];
        for (int i = 0; i < n; i++) {
            int row = i / model.config().context() * model.config().context();
            labels[i] = tokens[row + (i + 1 - row) % model.config().context()];
        }
        Shape shape = Shape.of(batch, model.config().context());
        try (var _ = Scope.open("step")) {
            Tensor x = Tensor.of(shape, tokens);
            Tensor y = Tensor.of(shape, labels);
            long start = System.nanoTime();
            Tensor loss = model.loss(x, y, scale, Pass.PLAIN);
            loss.backward();
            optimizer.step(learningRate);
            losses.add(loss.item());
            millis.add((System.nanoTime() - start) / 1e6);
        }
    }

    private static long peakResidentBytes() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM:")) {
                return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
            }
        }
        return 0;
    }
}
