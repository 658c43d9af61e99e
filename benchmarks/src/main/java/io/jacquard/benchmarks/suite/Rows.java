package io.jacquard.benchmarks.suite;

import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.ModelSize;
import io.jacquard.nn.ModelSize.Layer;
import io.jacquard.ops.Recipe;
import java.util.ArrayList;
import java.util.List;

/// The table of what is measured: the hot kernels at the shapes of [ModelSize], and whole steps. The order is that of
/// importance: a time limit cuts off the end. The static methods make single rows, also of other shapes.
public final class Rows {
    /// How large the shapes are.
    public enum Scale {
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
    public static List<Row> of(Scale scale, String dtype) {
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
        linears(ModelSize.LLAMA_8B, "down", 8192);
        frozen(ModelSize.LLAMA_8B, "down", 1, 4, 16, 64, 512, 2048);
        linears(ModelSize.GPT2_1558M, "up", 8192);
        step(ModelSize.GPT2_1558M, 8, 1024, false);
        step(ModelSize.LLAMA_1B, 4, 2048, false);
        step(ModelSize.LLAMA_1B, 1, 512, true);
        moving(32, 1024, ModelSize.GPT2_124M);
        moving(4, 4096, ModelSize.LLAMA_8B);
        embeddingGradient(32768, ModelSize.GPT2_124M);
        matmuls(ModelSize.GPT2_1558M, 8192);
        matmuls(ModelSize.LLAMA_8B, 8192);
        launches();
    }

    private void cpu() {
        attention(4, 256, ModelSize.GPT2_124M);
        attention(1, 512, ModelSize.LLAMA_1B);
        norms("layer norm", 1024, 768);
        norms("rms norm", 1024, 2048);
        norms("layer norm", 16384, 768); // beyond the caches, as are the optimizer and the copy of as much
        rows.add(moving("copy", 16, 1024, ModelSize.GPT2_124M, dtype));
        optimizer(8 << 20, "f32");
        step(ModelSize.CHAR_GPT, 8, 256, false);
        step(ModelSize.GPT2_124M, 4, 256, false);
        step(ModelSize.CHAR_GPT, 1, 64, true);
        crossEntropy(256, ModelSize.GPT2_124M);
        matmuls(ModelSize.CHAR_GPT, 2048);
        activations("gelu", 1024, 3072);
        activations("swiglu", 512, 8192);
        linears(ModelSize.CHAR_GPT, "up", 2048);
        frozen(ModelSize.GPT2_124M, "up", 1, 16, 512);
        moving(4, 256, ModelSize.GPT2_124M);
        embeddingGradient(1024, ModelSize.CHAR_GPT);
        launches();
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
        linears(ModelSize.GPT2_TINY, "up", 32);
        frozen(ModelSize.GPT2_TINY, "up", 1, 16);
        moving(1, 16, ModelSize.GPT2_TINY);
        embeddingGradient(32, ModelSize.GPT2_TINY);
        launches();
    }

    private void attention(int batch, int time, ModelSize size) {
        rows.add(attention(size, batch, time, false, dtype));
        rows.add(attention(size, batch, time, true, dtype));
    }

    /// Causal attention of one block.
    public static Row attention(ModelSize size, int batch, int time, boolean gradient, String dtype) {
        DecoderConfig c = size.config();
        String name = "attention " + (gradient ? "backward" : "forward") + " hd" + c.headDim() + " causal T=" + time
                + " B=" + batch + " H=" + c.heads() + (c.kvHeads() == c.heads() ? "" : "/" + c.kvHeads());
        return Row.of(
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
                gradient);
    }

    private void norms(String function, int n, int c) {
        rows.add(norm(function, "backward", n, c, dtype));
        rows.add(norm(function, "forward", n, c, dtype));
        rows.add(norm(function, "add + forward", n, c, dtype));
    }

    /// `layer norm` or `rms norm` of `n` rows: `forward`, `add + forward` behind the sum with a residual,
    /// `backward`.
    public static Row norm(String function, String form, int n, int c, String dtype) {
        boolean adds = form.startsWith("add");
        return Row.of(
                (adds ? "add + " : "") + function + (form.equals("backward") ? " backward " : " forward ") + n + "x"
                        + c,
                "norm",
                dtype,
                "function",
                function,
                "rows",
                n,
                "width",
                c,
                "gradient",
                form.equals("backward"),
                "residual",
                adds);
    }

    private void optimizer(int elements, String gradients) {
        rows.add(optimizer(elements, gradients, dtype));
    }

    /// The global norm, AdamW with clipping by it, and the weights rounded to `dtype`.
    public static Row optimizer(int elements, String gradients, String dtype) {
        return Row.of(
                "clip + AdamW" + (dtype.equals("f32") ? "" : " + cast") + " " + elements + " weights, " + gradients
                        + " gradients",
                "optimizer",
                dtype,
                "elements",
                elements,
                "gradients",
                gradients);
    }

    private void crossEntropy(int n, ModelSize size) {
        rows.add(crossEntropy(n, size, dtype));
    }

    /// Losses of `n` rows, and their gradients in place of the logits.
    public static Row crossEntropy(int n, ModelSize size, String dtype) {
        int vocabulary = size.config().vocabulary();
        return Row.of(
                "cross entropy forward + backward " + n + "x" + vocabulary,
                "cross entropy",
                dtype,
                "rows",
                n,
                "vocabulary",
                vocabulary);
    }

    /// Each linear layer forward, with what it has of bias and GELU; both gradients of the widest.
    private void matmuls(ModelSize size, int tokens) {
        for (Layer layer : size.layers()) {
            rows.add(matmul(size, layer.name(), tokens, "forward", dtype));
            if (layer.name().equals("up")) {
                rows.add(matmul(size, layer.name(), tokens, "input gradient", dtype));
                rows.add(matmul(size, layer.name(), tokens, "weight gradient", dtype));
            }
        }
    }

    private static Layer layer(ModelSize size, String name) {
        return size.layers().stream()
                .filter(l -> l.name().equals(name))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(size.label() + " has no layer " + name + "; it has "
                        + size.layers().stream().map(Layer::name).toList()));
    }

    /// A linear layer: `forward` with its bias and GELU, `input gradient` or `weight gradient`.
    public static Row matmul(ModelSize size, String layerName, int tokens, String form, String dtype) {
        Layer layer = layer(size, layerName);
        boolean forward = form.equals("forward");
        String epilogue = !forward ? "" : layer.gelu() ? " + bias + gelu" : layer.bias() ? " + bias" : "";
        return Row.of(
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
                forward && layer.gelu());
    }

    private void linears(ModelSize size, String layerName, int tokens) {
        for (Recipe recipe : Recipe.values()) {
            if (recipe == Recipe.DTYPE || recipe.isScaled()) {
                rows.add(linear(size, layerName, tokens, recipe, dtype));
            }
        }
    }

    /// A linear layer without bias, forward and both gradients, with all that `recipe` rounds.
    public static Row linear(ModelSize size, String layerName, int tokens, Recipe recipe, String dtype) {
        Layer layer = layer(size, layerName);
        return Row.of(
                "linear " + size.label() + " " + layerName + " forward + gradients " + recipe.label() + " " + tokens
                        + "x" + layer.out() + "x" + layer.in(),
                "linear",
                dtype,
                "recipe",
                recipe.label(),
                "m",
                tokens,
                "n",
                layer.out(),
                "k",
                layer.in());
    }

    private void frozen(ModelSize size, String layerName, int... tokens) {
        for (int m : tokens) {
            rows.add(frozen(size, layerName, m, dtype));
        }
    }

    /// A linear layer of frozen weights in 4 bits, in groups of 128.
    public static Row frozen(ModelSize size, String layerName, int tokens, String dtype) {
        Layer layer = layer(size, layerName);
        return Row.of(
                "int4 weights " + size.label() + " " + layerName + " " + tokens + "x" + layer.out() + "x" + layer.in(),
                "int4",
                dtype,
                "form",
                "forward",
                "m",
                tokens,
                "n",
                layer.out(),
                "k",
                layer.in(),
                "group",
                128);
    }

    private void activations(String function, int n, int f) {
        rows.add(activation(function, false, n, f, dtype));
        rows.add(activation(function, true, n, f, dtype));
    }

    /// `gelu` or `swiglu` of `n` rows, or its gradient.
    public static Row activation(String function, boolean gradient, int n, int f, String dtype) {
        return Row.of(
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
                gradient);
    }

    private void moving(int b, int t, ModelSize size) {
        for (String function : List.of("copy", "permute", "rope")) {
            rows.add(moving(function, b, t, size, dtype));
        }
    }

    /// `copy`, `permute` (to heads) or `rope` of the queries of a model.
    public static Row moving(String function, int batch, int time, ModelSize size, String dtype) {
        return moving(
                function + " ",
                function,
                batch,
                time,
                size.config().heads(),
                size.config().headDim(),
                dtype);
    }

    private static Row moving(String name, String function, int b, int t, int h, int d, String dtype) {
        return Row.of(
                name + b + "x" + t + "x" + h + "x" + d,
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
                d);
    }

    private void launches() {
        rows.add(launch("copy"));
        rows.add(launch("matmul"));
    }

    /// `copy` or `matmul` of so little that the launch is all it costs.
    public static Row launch(String function) {
        Row row = function.equals("copy")
                ? moving("launch of a copy ", function, 1, 1, 1, 8, "f32")
                : Row.of(
                        "launch of a matmul 8x8x8",
                        "matmul",
                        "f32",
                        "form",
                        "forward",
                        "m",
                        8,
                        "n",
                        8,
                        "k",
                        8,
                        "bias",
                        false,
                        "gelu",
                        false);
        row.spec().put("launch", true);
        return row;
    }

    private void embeddingGradient(int n, ModelSize size) {
        rows.add(embeddingGradient(n, size, dtype));
    }

    /// The gradient of a token table that `n` tokens read.
    public static Row embeddingGradient(int n, ModelSize size, String dtype) {
        DecoderConfig c = size.config();
        return Row.of(
                "embedding gradient " + n + " of " + c.vocabulary() + "x" + c.width(),
                "embedding gradient",
                dtype,
                "rows",
                n,
                "vocabulary",
                c.vocabulary(),
                "width",
                c.width());
    }

    private void step(ModelSize size, int batch, int time, boolean launchBound) {
        rows.add(step(size, batch, time, launchBound, scale == Scale.TINY ? 1e-3 : 3e-4, dtype));
    }

    /// A whole optimizer step: forward, backward, clipping, AdamW.
    ///
    /// @param launchBound whether it is so small that launches take much of its time
    public static Row step(ModelSize size, int batch, int time, boolean launchBound, double rate, String dtype) {
        DecoderConfig c = size.config(time);
        return Row.of(
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
                rate);
    }
}
