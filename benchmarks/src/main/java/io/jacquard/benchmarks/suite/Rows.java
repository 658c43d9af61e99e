package io.jacquard.benchmarks.suite;

import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.ModelSize;
import io.jacquard.nn.ModelSize.Layer;
import java.util.ArrayList;
import java.util.List;

/// The table of what is measured: the hot kernels at the shapes of [ModelSize], and whole steps. The order is that of
/// importance: a time limit cuts off the end.
final class Rows {
    /// How large the shapes are.
    enum Scale {
        /// A GPU's: operands beyond its caches.
        GPU,
        /// Minutes on a few cores.
        CPU,
        /// Seconds on an emulated device.
        TINY
    }

    private final Scale scale;
    private final String dtype;
    private final List<Row> rows = new ArrayList<>();

    private Rows(Scale scale, String dtype) {
        this.scale = scale;
        this.dtype = dtype;
    }

    /// All rows of one scale, floats of type `f32` or `bf16`.
    static List<Row> of(Scale scale, String dtype) {
        Rows r = new Rows(scale, dtype);
        switch (scale) {
            case GPU -> r.gpu();
            case CPU -> r.cpu();
            case TINY -> r.tiny();
        }
        return List.copyOf(r.rows);
    }

    private void gpu() {
        attention(16, 1024, ModelSize.GPT2_124M);
        attention(2, 8192, ModelSize.LLAMA_8B);
        attention(4, 4096, ModelSize.LLAMA_8B);
        step(ModelSize.GPT2_124M, 32, 1024, false);
        norms("layer norm", 16384, 768);
        norms("layer norm", 8192, 4096);
        norms("rms norm", 8192, 4096);
        norms("rms norm", 16384, 4096);
        optimizer(124_475_904, "f32");
        optimizer(124_475_904, "bf16");
        optimizer(1_557_686_400, "bf16");
        step(ModelSize.GPT2_124M, 1, 1024, true);
        crossEntropy(16384, ModelSize.GPT2_124M);
        crossEntropy(4096, ModelSize.LLAMA_8B);
        matmuls(ModelSize.GPT2_124M, 32768);
        activations("gelu", 16384, 3072);
        activations("swiglu", 8192, 14336);
        step(ModelSize.GPT2_1558M, 8, 1024, false);
        step(ModelSize.LLAMA_1B, 4, 2048, false);
        step(ModelSize.LLAMA_1B, 1, 512, true);
        moving(32, 1024, 12, 64);
        moving(4, 4096, 32, 128);
        embeddingGradient(32768, ModelSize.GPT2_124M);
        matmuls(ModelSize.GPT2_1558M, 8192);
        matmuls(ModelSize.LLAMA_8B, 8192);
    }

    private void cpu() {
        attention(4, 256, ModelSize.GPT2_124M);
        attention(1, 512, ModelSize.LLAMA_1B);
        norms("layer norm", 1024, 768);
        norms("rms norm", 1024, 2048);
        optimizer(8 << 20, "f32");
        step(ModelSize.CHAR_GPT, 8, 256, false);
        step(ModelSize.CHAR_GPT, 1, 64, true);
        crossEntropy(256, ModelSize.GPT2_124M);
        matmuls(ModelSize.CHAR_GPT, 2048);
        activations("gelu", 1024, 3072);
        activations("swiglu", 512, 8192);
        moving(4, 256, 12, 64);
        embeddingGradient(1024, ModelSize.CHAR_GPT);
    }

    private void tiny() {
        attention(1, 64, ModelSize.GPT2_TINY);
        attention(1, 48, ModelSize.LLAMA_TINY);
        norms("layer norm", 24, 64);
        norms("rms norm", 24, 64);
        optimizer(2048, "f32");
        step(ModelSize.GPT2_TINY, 2, 16, false);
        step(ModelSize.LLAMA_TINY, 1, 16, true);
        crossEntropy(8, ModelSize.GPT2_TINY);
        matmuls(ModelSize.GPT2_TINY, 32);
        activations("gelu", 16, 64);
        activations("swiglu", 16, 64);
        moving(1, 16, 2, 16);
        embeddingGradient(32, ModelSize.GPT2_TINY);
    }

    private void attention(int batch, int time, ModelSize size) {
        DecoderConfig c = size.config();
        for (boolean gradient : new boolean[] {false, true}) {
            String name = "attention " + (gradient ? "backward" : "forward") + " hd" + c.headDim() + " causal T=" + time
                    + " B=" + batch + " H=" + c.heads() + (c.kvHeads() == c.heads() ? "" : "/" + c.kvHeads());
            rows.add(Row.computing(
                    name,
                    "attention",
                    dtype,
                    "batch",
                    batch,
                    "time",
                    time,
                    "heads",
                    c.heads(),
                    "kv_heads",
                    c.kvHeads(),
                    "head_dim",
                    c.headDim(),
                    "gradient",
                    gradient));
        }
    }

    private void norms(String function, int n, int c) {
        String shape = " " + n + "x" + c;
        Object[] common = {"function", function, "rows", n, "width", c};
        rows.add(Row.moving(function + " backward" + shape, "norm", dtype, with(common, "gradient", true)));
        rows.add(Row.moving(function + " forward" + shape, "norm", dtype, common));
        rows.add(Row.moving("add + " + function + " forward" + shape, "norm", dtype, with(common, "residual", true)));
    }

    private static Object[] with(Object[] common, Object... more) {
        List<Object> all = new ArrayList<>(List.of(common));
        all.addAll(List.of(more));
        return all.toArray();
    }

    private void optimizer(int elements, String gradients) {
        rows.add(Row.moving(
                "clip + AdamW" + (dtype.equals("f32") ? "" : " + cast") + " " + elements + " weights, " + gradients
                        + " gradients",
                "optimizer",
                dtype,
                "elements",
                elements,
                "gradients",
                gradients));
    }

    private void crossEntropy(int n, ModelSize size) {
        int vocabulary = size.config().vocabulary();
        rows.add(Row.moving(
                "cross entropy forward + backward " + n + "x" + vocabulary,
                "cross entropy",
                dtype,
                "rows",
                n,
                "vocabulary",
                vocabulary));
    }

    /// Each linear layer forward, with what it has of bias and GELU; both gradients of the widest.
    private void matmuls(ModelSize size, int tokens) {
        for (Layer layer : size.layers()) {
            matmul(size, layer, tokens, "forward");
            if (layer.name().equals("up")) {
                matmul(size, layer, tokens, "input gradient");
                matmul(size, layer, tokens, "weight gradient");
            }
        }
    }

    private void matmul(ModelSize size, Layer layer, int tokens, String form) {
        boolean forward = form.equals("forward");
        String epilogue = !forward ? "" : layer.gelu() ? " + bias + gelu" : layer.bias() ? " + bias" : "";
        rows.add(Row.computing(
                "matmul " + size.label() + " " + layer.name() + " " + form + epilogue + " " + tokens + "x" + layer.out()
                        + "x" + layer.in(),
                "matmul",
                dtype,
                "form",
                form,
                "m",
                tokens,
                "n",
                layer.out(),
                "k",
                layer.in(),
                "bias",
                forward && layer.bias(),
                "gelu",
                forward && layer.gelu()));
    }

    private void activations(String function, int n, int f) {
        for (boolean gradient : new boolean[] {false, true}) {
            rows.add(Row.moving(
                    function + (gradient ? " backward " : " forward ") + n + "x" + f,
                    "activation",
                    dtype,
                    "function",
                    function,
                    "rows",
                    n,
                    "width",
                    f,
                    "gradient",
                    gradient));
        }
    }

    private void moving(int b, int t, int h, int d) {
        for (String function : List.of("copy", "permute", "rope")) {
            rows.add(Row.moving(
                    function + " " + b + "x" + t + "x" + h + "x" + d,
                    "moving",
                    dtype,
                    "function",
                    function,
                    "batch",
                    b,
                    "time",
                    t,
                    "heads",
                    h,
                    "head_dim",
                    d));
        }
    }

    private void embeddingGradient(int n, ModelSize size) {
        DecoderConfig c = size.config();
        rows.add(Row.moving(
                "embedding gradient " + n + " of " + c.vocabulary() + "x" + c.width(),
                "embedding gradient",
                dtype,
                "rows",
                n,
                "vocabulary",
                c.vocabulary(),
                "width",
                c.width()));
    }

    /// A whole optimizer step: forward, backward, clipping, AdamW.
    private void step(ModelSize size, int batch, int time, boolean launchBound) {
        DecoderConfig c = size.config(time);
        rows.add(Row.computing(
                "step " + size.label() + " T=" + time + " B=" + batch,
                "step",
                dtype,
                "model",
                size.label(),
                "type",
                c.type(),
                "layers",
                c.layers(),
                "heads",
                c.heads(),
                "kv_heads",
                c.kvHeads(),
                "width",
                c.width(),
                "hidden",
                c.hidden(),
                "vocabulary",
                c.vocabulary(),
                "tied",
                c.tied(),
                "time",
                time,
                "batch",
                batch,
                "launch_bound",
                launchBound,
                "learning_rate",
                scale == Scale.TINY ? 1e-3 : 3e-4));
    }
}
