package io.jacquard.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.nn.Decoder;
import io.jacquard.nn.KeyValueCache;
import io.jacquard.nn.Pass;
import io.jacquard.nn.Weights;
import io.jacquard.optim.AdamW;
import io.jacquard.optim.AdamWSettings;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The models against PyTorch's: the files under `reference/` hold PyTorch's results in the model's dtype and in
/// double. Ours may be at most twice as far from double as PyTorch is.
class PyTorchAgreementTest {
    private static final int BATCH = 3;
    private static final int LENGTH = 17;

    private static Path folder(String name) {
        return Path.of("src/test/resources/reference", name);
    }

    private static DType dtype(String folder) {
        return folder.endsWith("bf16") ? DType.BF16 : DType.F32;
    }

    @ParameterizedTest
    @CsvSource({
        "gpt2-fp32,false",
        "gpt2-bf16,false",
        "llama-fp32,false",
        "llama-bf16,false",
        "gpt2-fp32,true",
        "llama-bf16,true"
    })
    void oneStepAgrees(String folder, boolean recompute) throws IOException {
        DType dtype = dtype(folder);
        Pass pass = new Pass(recompute, 0, null);
        try (Session session = Session.open("cpu");
                Safetensors step = Safetensors.open(folder(folder).resolve("step.safetensors"))) {
            Weights weights = new Weights();
            Decoder model = DecoderFiles.load(folder(folder), weights, dtype, dtype);
            long used = session.usedBytes();
            int[] labels = ints(step.data("labels"));
            try (var _ = Scope.open("step")) {
                Tensor tokens = Tensor.of(Shape.of(BATCH, LENGTH), ints(step.data("input_ids")));
                closer(
                        "logits",
                        model.logits(tokens, pass).toFloats(),
                        floats(step, "logits"),
                        floats(step, "double.logits"));
                Tensor loss = model.loss(tokens, Tensor.of(Shape.of(BATCH, LENGTH), labels), scale(labels), pass);
                double reference = step.data("double.loss").get(ValueLayout.JAVA_DOUBLE_UNALIGNED, 0);
                // one number may be right by luck: what every loss of the dtype is good for, not what PyTorch's one hit
                assertEquals(reference, loss.item(), dtype == DType.F32 ? 2e-6 * reference : 2e-3 * reference, "loss");
                loss.backward();
                weights.settleGradients();
            }
            double ours = 0;
            for (DecoderLayout.Part p : DecoderLayout.of(model)) {
                float[] g = fileOrder(p.parameter().gradient(), p);
                closer(
                        "grad." + p.name(),
                        g,
                        floats(step, "grad." + p.name()),
                        floats(step, "double.grad." + p.name()));
                for (float x : g) {
                    ours += (double) x * x;
                }
            }
            double norm = step.data("double.grad_norm").get(ValueLayout.JAVA_DOUBLE_UNALIGNED, 0);
            assertEquals(norm, Math.sqrt(ours), norm * (dtype == DType.F32 ? 1e-5 : 1e-2), "gradient norm");
            assertEquals(used, session.usedBytes(), "the step leaked");
        }
    }

    /// A text fed in pieces gives the logits of the whole: the beginning at once, then tokens one by one or
    /// together.
    @ParameterizedTest
    @CsvSource({"gpt2-fp32", "gpt2-bf16", "llama-fp32", "llama-bf16"})
    void cachedLogitsAgree(String folder) throws IOException {
        DType dtype = dtype(folder);
        try (Session session = Session.open("cpu");
                Safetensors step = Safetensors.open(folder(folder).resolve("step.safetensors"))) {
            Decoder model = DecoderFiles.load(folder(folder), new Weights(), dtype, dtype);
            long used = session.usedBytes();
            int[] ids = ints(step.data("input_ids"));
            float[] theirs = floats(step, "logits");
            float[] exact = floats(step, "double.logits");
            int v = model.config().vocabulary();
            for (int[] pieces :
                    new int[][] {{17}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {5, 1, 4, 1, 6}}) {
                try (var _ = Scope.open("text")) {
                    KeyValueCache cache = model.cache();
                    for (int row = 0; row < BATCH; row++) {
                        cache.clear();
                        for (int n : pieces) {
                            int from = row * LENGTH + cache.length();
                            Tensor next = Tensor.of(Shape.of(1, n), Arrays.copyOfRange(ids, from, from + n));
                            float[] logits = model.next(next, cache).toFloats();
                            int to = (from + n) * v;
                            closer(
                                    "logits of row " + row + " after " + cache.length(),
                                    logits,
                                    Arrays.copyOfRange(theirs, to - v, to),
                                    Arrays.copyOfRange(exact, to - v, to));
                        }
                        assertEquals(LENGTH, cache.length());
                    }
                }
            }
            assertEquals(used, session.usedBytes(), "generation leaked");
        }
    }

    @ParameterizedTest
    @CsvSource({"gpt2-fp32", "gpt2-bf16", "llama-fp32", "llama-bf16"})
    void twentyStepsOfAdamWAgree(String folder) throws IOException {
        DType dtype = dtype(folder);
        try (Session _ = Session.open("cpu");
                Safetensors training = Safetensors.open(folder(folder).resolve("training.safetensors"))) {
            Weights weights = new Weights();
            Decoder model = DecoderFiles.load(folder(folder), weights, dtype, dtype);
            AdamW optimizer = new AdamW(weights, AdamWSettings.DEFAULT);
            int[] ids = ints(training.data("input_ids"));
            int[] labels = ints(training.data("labels"));
            float[] rates = floats(training, "learning_rates");
            int steps = rates.length;
            float[] losses = new float[steps];
            float[] norms = new float[steps];
            int size = BATCH * LENGTH;
            for (int i = 0; i < steps; i++) {
                try (var _ = Scope.open("step")) {
                    int[] y = Arrays.copyOfRange(labels, i * size, (i + 1) * size);
                    Tensor tokens =
                            Tensor.of(Shape.of(BATCH, LENGTH), Arrays.copyOfRange(ids, i * size, (i + 1) * size));
                    Tensor loss = model.loss(tokens, Tensor.of(Shape.of(BATCH, LENGTH), y), scale(y), Pass.PLAIN);
                    loss.backward();
                    optimizer.step(Tensor.of(Shape.of(1), rates[i]));
                    losses[i] = loss.item();
                    norms[i] = optimizer.norm().toFloats()[0];
                }
            }
            closer("losses", losses, floats(training, "losses"), floats(training, "double.losses"));
            closer("norms", norms, floats(training, "grad_norms"), floats(training, "double.grad_norms"));
            assertEquals(steps, optimizer.state().get("step").toInts()[0]);
            if (dtype == DType.F32) {
                for (DecoderLayout.Part p : DecoderLayout.of(model)) {
                    float[] ours = fileOrder(p.parameter().value(), p);
                    float[] theirs = floats(training, "after." + p.name());
                    float[] exact = floats(training, "double.after." + p.name());
                    if (p.name()
                            .endsWith("c_attn.bias")) { // the key bias has no gradient but noise, which Adam amplifies
                        Arrays.fill(ours, 48, 96, 0f);
                        Arrays.fill(theirs, 48, 96, 0f);
                        Arrays.fill(exact, 48, 96, 0f);
                    }
                    closer("after." + p.name(), ours, theirs, exact);
                }
            }
        }
    }

    private static Tensor scale(int[] labels) {
        long valid = Arrays.stream(labels).filter(l -> l >= 0).count();
        return Tensor.of(Shape.of(1), 1f / valid);
    }

    /// The largest error of `ours` is at most twice that of `theirs`, or one rounding of the largest value in the
    /// dtype's accumulation where PyTorch happens to be exact.
    private static void closer(String what, float[] ours, float[] theirs, float[] exact) {
        assertEquals(exact.length, ours.length, what);
        double our = 0;
        double their = 0;
        double largest = 0;
        for (int i = 0; i < ours.length; i++) {
            our = Math.max(our, Math.abs((double) ours[i] - exact[i]));
            their = Math.max(their, Math.abs((double) theirs[i] - exact[i]));
            largest = Math.max(largest, Math.abs(exact[i]));
            assertTrue(Float.isFinite(ours[i]), what + " at " + i);
        }
        double floor = 8 * Math.ulp((float) largest);
        assertTrue(
                our <= 2 * their + floor,
                what + ": error " + our + ", PyTorch's " + their + ", largest value " + largest);
    }

    private static float[] fileOrder(Tensor t, DecoderLayout.Part p) {
        float[] rows = t.detach().rows(p.from(), p.to()).toFloats();
        if (!p.transposed()) {
            return rows;
        }
        int r = p.shape().dim(0);
        int c = p.shape().dim(1);
        float[] out = new float[rows.length];
        for (int i = 0; i < r; i++) {
            for (int j = 0; j < c; j++) {
                out[j * r + i] = rows[i * c + j];
            }
        }
        return out;
    }

    private static int[] ints(MemorySegment data) {
        int[] v = new int[(int) (data.byteSize() / 4)];
        for (int i = 0; i < v.length; i++) {
            v[i] = data.get(ValueLayout.JAVA_INT_UNALIGNED, 4L * i);
        }
        return v;
    }

    private static float[] floats(Safetensors file, String name) {
        SafetensorsEntry e = file.find(name);
        assertTrue(e != null, "no tensor " + name);
        MemorySegment data = file.data(name);
        int n = (int) (data.byteSize() * 8 / e.type().bits());
        float[] v = new float[n];
        for (int i = 0; i < n; i++) {
            v[i] = switch (e.type()) {
                case F32 -> data.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i);
                case F64 -> (float) data.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, 8L * i);
                case BF16 -> Float.intBitsToFloat(data.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i) << 16);
                default -> throw new AssertionError(e.type());
            };
        }
        return v;
    }
}
