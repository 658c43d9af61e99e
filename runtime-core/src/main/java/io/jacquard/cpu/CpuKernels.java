package io.jacquard.cpu;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Casts;
import io.jacquard.tensor.spi.Epilogue;
import io.jacquard.tensor.spi.Kernels;
import io.jacquard.tensor.spi.Scaled;
import io.jacquard.tensor.spi.StateRounding;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// Turns tensors into addresses and sizes, then launches: a launch holds no tensor, so that a recorded one replays at
/// the addresses of its recording.
final class CpuKernels implements Kernels {
    private final Workers workers;
    private final Consumer<Runnable> launches;
    private final LowPrecisionKernels lowPrecision;

    /// `launches` runs each launch at once, or records it.
    CpuKernels(Workers workers, Consumer<Runnable> launches) {
        this.workers = workers;
        this.launches = launches;
        this.lowPrecision = new LowPrecisionKernels(workers, launches);
    }

    private void launch(Runnable kernel) {
        launches.accept(kernel);
    }

    static int last(Tensor t) {
        Shape s = t.shape();
        return s.rank() == 0 ? 1 : s.dim(s.rank() - 1);
    }

    static long rows(Tensor t) {
        int c = last(t);
        return c == 0 ? 0 : t.size() / c;
    }

    // ---- moving and filling

    @Override
    public void fill(Tensor out, float value) {
        Operand o = Operand.of(out);
        long n = out.size();
        launch(() -> Copies.fill(workers, o, value, n));
    }

    @Override
    public void cast(Tensor out, Tensor x) {
        Operand o = Operand.of(out);
        Operand a = Operand.of(x);
        long n = out.size();
        launch(() -> Copies.cast(workers, o, a, n));
    }

    @Override
    public void copy(
            Tensor out,
            long outOffset,
            long[] outStrides,
            Tensor x,
            long xOffset,
            long[] xStrides,
            int[] sizes,
            float beta) {
        Operand o = Operand.of(out);
        Operand a = Operand.of(x);
        Copies.Space space = new Copies.Space(outOffset, outStrides.clone(), xOffset, xStrides.clone(), sizes.clone());
        launch(() -> Copies.copy(workers, o, a, space, beta));
    }

    @Override
    public void random(Tensor out, float deviation, long seed, int site) {
        Operand o = Operand.of(out);
        long n = out.size();
        launch(() -> Randoms.fill(workers, o, deviation, seed, site, n));
    }

    // ---- element by element

    @Override
    public void axpby(Tensor out, float a, Tensor x, float beta) {
        Operand o = Operand.of(out);
        Operand fx = Operand.of(x);
        long n = out.size();
        launch(() -> Elementwise.run(workers, o, fx, fx, beta, n, (to, from, _, m) -> FloatMath.scale(to, from, a, m)));
    }

    @Override
    public void scale(Tensor out, Tensor x, Tensor factor) {
        Operand o = Operand.of(out);
        Operand fx = Operand.of(x);
        long at = factor.address();
        long n = out.size();
        launch(() -> {
            float k = Mem.getFloat(at);
            if (k != 1f || o.address() != fx.address()) {
                Elementwise.run(workers, o, fx, fx, 0f, n, (to, from, _, m) -> FloatMath.scale(to, from, k, m));
            }
        });
    }

    @Override
    public void add(Tensor out, Tensor x, Tensor y) {
        elementwise(out, x, y, 0f, FloatMath::add);
    }

    @Override
    public void mul(Tensor out, Tensor x, Tensor y, float beta) {
        elementwise(out, x, y, beta, Elementwise::mul);
    }

    private void elementwise(Tensor out, Tensor x, Tensor y, float beta, Elementwise.Body body) {
        Operand o = Operand.of(out);
        Operand a = Operand.of(x);
        Operand b = Operand.of(y);
        long n = out.size();
        launch(() -> Elementwise.run(workers, o, a, b, beta, n, body));
    }

    @Override
    public void addRow(Tensor out, Tensor x, Tensor row) {
        Operand o = Operand.of(out);
        Operand a = Operand.of(x);
        Operand r = Operand.of(row);
        long rows = rows(x);
        int c = last(x);
        launch(() -> Elementwise.addRow(workers, o, a, r, rows, c));
    }

    @Override
    public void gelu(@Nullable Tensor out, Tensor x, Casts casts) {
        elementwise(out, x, x, 0f, casts, (to, from, _, n) -> Activations.gelu(to, from, n));
    }

    @Override
    public void geluGrad(Tensor dx, Tensor dy, Tensor x, float beta, Casts casts) {
        elementwise(dx, dy, x, beta, casts, Activations::geluGrad);
    }

    private void elementwise(@Nullable Tensor out, Tensor x, Tensor y, float beta, Casts casts, Elementwise.Body body) {
        if (out != null && casts.isNone()) {
            elementwise(out, x, y, beta, body);
            return;
        }
        Operand a = Operand.of(x);
        Operand b = Operand.of(y);
        int c = last(x);
        lowPrecision.cast(casts, out, x.dtype(), rows(x), c, (o, first, last, lane) -> {
            Elementwise.run(lane, o, a, b, beta, first * c, last * c, body);
        });
    }

    @Override
    public void swiGlu(@Nullable Tensor out, Tensor x, Casts casts) {
        Operand a = Operand.of(x);
        int f = last(x) / 2;
        byRows(out, casts, x, f, (o, first, last, lane) -> Elementwise.swiGlu(lane, o, a, first, last, f));
    }

    /// A kernel that makes each row of its result, of `columns`, from a row of `x`.
    private void byRows(@Nullable Tensor out, Casts casts, Tensor x, int columns, Casting.Producer producer) {
        long rows = rows(x);
        if (out == null || !casts.isNone()) {
            lowPrecision.cast(casts, out, x.dtype(), rows, columns, producer);
            return;
        }
        Operand o = Operand.of(out);
        int c = last(x);
        launch(() -> Rows.run(workers, rows, c, (first, last, lane) -> producer.run(o, first, last, lane)));
    }

    @Override
    public void swiGluGrad(Tensor dx, Tensor dy, Tensor x, float beta) {
        Operand o = Operand.of(dx);
        Operand d = Operand.of(dy);
        Operand a = Operand.of(x);
        long rows = rows(dy);
        int f = last(dy);
        launch(() -> Elementwise.swiGluGrad(workers, o, d, a, beta, rows, f));
    }

    @Override
    public void dropout(Tensor out, Tensor x, float p, long seed, Tensor counters, int site, long first, float beta) {
        Operand o = Operand.of(out);
        Operand a = Operand.of(x);
        Operand c = Operand.of(counters);
        long n = out.size();
        launch(() -> Randoms.dropout(workers, o, a, p, seed, c, site, first, beta, n));
    }

    // ---- matrix products

    @Override
    public void matmul(Tensor out, Tensor a, boolean ta, Tensor b, boolean tb, float beta, Epilogue epilogue) {
        int n = last(out);
        int m = Math.toIntExact(rows(out));
        int k = ta ? Math.toIntExact(rows(a)) : last(a);
        Gemm.Product p = new Gemm.Product(
                Operand.of(out),
                Operand.of(a),
                ta,
                Operand.of(b),
                tb,
                m,
                n,
                k,
                beta,
                Operand.ofNullable(epilogue.bias()),
                Operand.ofNullable(epilogue.preActivation()),
                null,
                null);
        launch(() -> Gemm.run(workers, p));
    }

    @Override
    public void sumRows(Tensor out, Tensor x, float beta) {
        Operand o = Operand.of(out);
        Operand a = Operand.of(x);
        int c = (int) out.size();
        long rows = rows(x);
        launch(() -> Rows.sumRows(workers, o, a, beta, rows, c));
    }

    @Override
    public void sum(Tensor out, Tensor x) {
        Operand o = Operand.of(out);
        Operand a = Operand.of(x);
        long n = x.size();
        launch(() -> Optimizers.sum(workers, o, a, n));
    }

    // ---- low precision

    @Override
    public void absMax(Tensor amax, Tensor x, float beta) {
        lowPrecision.absMax(amax, x, beta);
    }

    @Override
    public void scaleOf(Tensor scale, Tensor amax, DType type) {
        lowPrecision.scaleOf(scale, amax, type);
    }

    @Override
    public void quantize(@Nullable Scaled out, @Nullable Scaled transposed, Tensor x) {
        lowPrecision.quantize(out, transposed, x);
    }

    @Override
    public void dequantize(Tensor out, Scaled x) {
        lowPrecision.dequantize(out, x);
    }

    @Override
    public void matmulScaled(Tensor out, Scaled a, Scaled b, float beta, Epilogue epilogue) {
        lowPrecision.matmulScaled(out, a, b, beta, epilogue);
    }

    @Override
    public void matmulWeights(Tensor out, Tensor x, Scaled w, boolean transposed, float beta, Epilogue epilogue) {
        lowPrecision.matmulWeights(out, x, w, transposed, beta, epilogue);
    }

    @Override
    public void delayScales(Tensor scales, Tensor history, Tensor amax, Tensor largest) {
        lowPrecision.delayScales(scales, history, amax, largest);
    }

    // ---- norms

    @Override
    public void layerNorm(
            @Nullable Tensor out,
            @Nullable Tensor total,
            Tensor mean,
            Tensor rstd,
            Tensor x,
            @Nullable Tensor residual,
            Tensor weight,
            Tensor bias,
            float epsilon,
            Casts casts) {
        Norms.Forward f = new Norms.Forward(
                Operand.ofNullable(total),
                Operand.of(mean),
                Operand.of(rstd),
                Operand.of(x),
                Operand.ofNullable(residual),
                Operand.of(weight),
                Operand.of(bias),
                epsilon,
                last(x));
        byRows(out, casts, x, last(x), (o, first, last, lane) -> Norms.forward(f, o, first, last, lane));
    }

    @Override
    public void layerNormGrad(
            @Nullable Tensor dx,
            float beta,
            @Nullable Tensor dWeight,
            @Nullable Tensor dBias,
            float weightBeta,
            Tensor dy,
            Tensor x,
            Tensor mean,
            Tensor rstd,
            Tensor weight) {
        Norms.Backward g = new Norms.Backward(
                Operand.ofNullable(dx),
                beta,
                Operand.ofNullable(dWeight),
                Operand.ofNullable(dBias),
                weightBeta,
                Operand.of(dy),
                Operand.of(x),
                Operand.of(mean),
                Operand.of(rstd),
                Operand.of(weight),
                rows(x),
                last(x));
        launch(() -> Norms.backward(workers, g));
    }

    @Override
    public void rmsNorm(
            @Nullable Tensor out,
            @Nullable Tensor total,
            Tensor rstd,
            Tensor x,
            @Nullable Tensor residual,
            Tensor weight,
            float epsilon,
            Casts casts) {
        Norms.Forward f = new Norms.Forward(
                Operand.ofNullable(total),
                null,
                Operand.of(rstd),
                Operand.of(x),
                Operand.ofNullable(residual),
                Operand.of(weight),
                null,
                epsilon,
                last(x));
        byRows(out, casts, x, last(x), (o, first, last, lane) -> Norms.forward(f, o, first, last, lane));
    }

    @Override
    public void rmsNormGrad(
            @Nullable Tensor dx,
            float beta,
            @Nullable Tensor dWeight,
            float weightBeta,
            Tensor dy,
            Tensor x,
            Tensor rstd,
            Tensor weight) {
        Norms.Backward g = new Norms.Backward(
                Operand.ofNullable(dx),
                beta,
                Operand.ofNullable(dWeight),
                null,
                weightBeta,
                Operand.of(dy),
                Operand.of(x),
                null,
                Operand.of(rstd),
                Operand.of(weight),
                rows(x),
                last(x));
        launch(() -> Norms.backward(workers, g));
    }

    // ---- attention

    @Override
    public void softmax(Tensor out, Tensor x) {
        Operand o = Operand.of(out);
        Operand a = Operand.of(x);
        long rows = rows(x);
        int c = last(x);
        launch(() -> Losses.softmax(workers, o, a, rows, c));
    }

    @Override
    public void softmaxGrad(Tensor dx, Tensor dy, Tensor y, float beta) {
        Operand o = Operand.of(dx);
        Operand d = Operand.of(dy);
        Operand a = Operand.of(y);
        long rows = rows(y);
        int c = last(y);
        launch(() -> Losses.softmaxGrad(workers, o, d, a, beta, rows, c));
    }

    @Override
    public void rope(Tensor out, Tensor x, int heads, int headDim, float base, int firstPosition, boolean inverse) {
        int time = x.shape().dim(x.shape().rank() - 2);
        int width = last(x);
        long batch = time == 0 || width == 0 ? 0 : x.size() / time / width;
        Attention.Rope r = new Attention.Rope(
                Operand.of(out),
                Operand.of(x),
                batch,
                time,
                width,
                heads,
                headDim,
                firstPosition,
                inverse,
                Attention.Rope.frequencies(base, headDim));
        launch(() -> Attention.rope(workers, r));
    }

    @Override
    public void attention(Tensor out, Tensor lse, Tensor qkv, int heads, int kvHeads) {
        Attention.Geometry g = geometry(qkv, heads, kvHeads);
        Operand o = Operand.of(out);
        Operand l = Operand.of(lse);
        Operand x = Operand.of(qkv);
        launch(() -> Attention.forward(workers, o, l, x, g));
    }

    @Override
    public void attentionGrad(Tensor dQkv, Tensor dOut, Tensor qkv, Tensor out, Tensor lse, int heads, int kvHeads) {
        Attention.Backward b = new Attention.Backward(
                Operand.of(dQkv),
                Operand.of(dOut),
                Operand.of(qkv),
                Operand.of(out),
                Operand.of(lse),
                geometry(qkv, heads, kvHeads));
        launch(() -> Attention.backward(workers, b));
    }

    private static Attention.Geometry geometry(Tensor qkv, int heads, int kvHeads) {
        int time = qkv.shape().dim(qkv.shape().rank() - 2);
        int width = last(qkv);
        int batch = time == 0 || width == 0 ? 0 : Math.toIntExact(qkv.size() / time / width);
        return new Attention.Geometry(batch, time, heads, kvHeads, width / (heads + 2 * kvHeads));
    }

    // ---- tokens

    @Override
    public void embedding(
            Tensor out, Tensor table, Tensor ids, int firstId, int vocabulary, @Nullable Tensor positions) {
        Operand o = Operand.of(out);
        Operand t = Operand.of(table);
        Operand i = Operand.of(ids);
        Operand p = Operand.ofNullable(positions);
        long rows = ids.size();
        int c = last(table);
        Embeddings.Part part = new Embeddings.Part(firstId, table.shape().dim(0), vocabulary);
        int time = last(ids);
        launch(() -> Embeddings.forward(workers, o, t, i, p, rows, c, part, time));
    }

    @Override
    public void embeddingGrad(Tensor dTable, Tensor dy, Tensor ids, int firstId, float beta) {
        Operand o = Operand.of(dTable);
        Operand d = Operand.of(dy);
        Operand i = Operand.of(ids);
        int rows = Math.toIntExact(ids.size());
        int c = last(dTable);
        int tableRows = dTable.shape().dim(0);
        launch(() -> Embeddings.backward(workers, o, d, i, firstId, beta, rows, c, tableRows));
    }

    @Override
    public void crossEntropy(Tensor losses, Tensor logits, Tensor labels, @Nullable Tensor scale) {
        Operand l = Operand.of(losses);
        Operand x = Operand.of(logits);
        Operand y = Operand.of(labels);
        Operand s = Operand.ofNullable(scale);
        long rows = rows(logits);
        int c = last(logits);
        launch(() -> Losses.crossEntropy(workers, l, x, y, s, rows, c));
    }

    @Override
    public void crossEntropyStats(Tensor stats, Tensor logits, Tensor labels, int firstLabel) {
        long s = stats.address();
        Operand x = Operand.of(logits);
        Operand y = Operand.of(labels);
        long rows = labels.size();
        int c = last(logits);
        launch(() -> Losses.stats(workers, s, x, y, firstLabel, rows, c));
    }

    @Override
    public void crossEntropyShard(
            Tensor losses, Tensor logits, Tensor labels, int firstLabel, Tensor stats, @Nullable Tensor scale) {
        Operand l = Operand.of(losses);
        Operand x = Operand.of(logits);
        Operand y = Operand.of(labels);
        Losses.Parts parts = new Losses.Parts(stats.address(), stats.shape().dim(0), labels.size());
        Operand s = Operand.ofNullable(scale);
        int c = last(logits);
        launch(() -> Losses.shard(workers, l, x, y, firstLabel, parts, s, c));
    }

    // ---- optimizers

    @Override
    public void norm(Tensor out, Tensor gradients) {
        Operand o = Operand.of(out);
        Operand g = Operand.of(gradients);
        long n = gradients.size();
        launch(() -> Optimizers.norm(workers, o, g, n));
    }

    @Override
    public void count(Tensor counter, Tensor flag, int index) {
        Operand c = Operand.of(counter);
        Operand f = Operand.of(flag);
        launch(() -> Optimizers.count(c, f, index));
    }

    @Override
    public void adamW(
            Tensor values,
            Tensor master,
            Tensor m,
            Tensor v,
            Tensor gradients,
            Tensor learningRate,
            Tensor step,
            Tensor norm,
            Tensor decays,
            float beta1,
            float beta2,
            float epsilon,
            float weightDecay,
            float clip,
            @Nullable StateRounding rounding) {
        Optimizers.AdamW a = new Optimizers.AdamW(
                Operand.of(values),
                Operand.of(master),
                Operand.of(m),
                Operand.of(v),
                Operand.of(gradients),
                Operand.of(learningRate),
                Operand.of(step),
                Operand.of(norm),
                Operand.of(decays),
                beta1,
                beta2,
                epsilon,
                weightDecay,
                clip,
                StochasticRounding.of(rounding),
                master.size());
        launch(() -> Optimizers.adamW(workers, a));
    }

    @Override
    public void sgd(
            Tensor values,
            Tensor master,
            Tensor momentum,
            Tensor gradients,
            Tensor learningRate,
            Tensor norm,
            Tensor decays,
            float momentumFactor,
            float weightDecay,
            float clip,
            @Nullable StateRounding rounding) {
        Optimizers.Sgd s = new Optimizers.Sgd(
                Operand.of(values),
                Operand.of(master),
                Operand.of(momentum),
                Operand.of(gradients),
                Operand.of(learningRate),
                Operand.of(norm),
                Operand.of(decays),
                momentumFactor,
                weightDecay,
                clip,
                StochasticRounding.of(rounding),
                master.size());
        launch(() -> Optimizers.sgd(workers, s));
    }
}
