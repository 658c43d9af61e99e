package io.jacquard.cuda;

import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Casts;
import io.jacquard.tensor.spi.Epilogue;
import io.jacquard.tensor.spi.Kernels;
import io.jacquard.tensor.spi.Scaled;
import io.jacquard.tensor.spi.StateRounding;
import org.jspecify.annotations.Nullable;

/// Hands each operation to its family.
final class CudaKernels implements Kernels, AutoCloseable {
    private final MovingKernels moving;
    private final PointwiseKernels pointwise;
    private final MatmulChoice matmul;
    private final ReduceKernels reduce;
    private final QuantizeKernels quantize;
    private final WeightsKernels weights;
    private final NormKernels norm;
    private final CastKernels cast;
    private final AttentionKernels attention;
    private final RopeKernels rope;
    private final TokenKernels token;
    private final OptimizerKernels optimizer;

    CudaKernels(Launcher launcher) {
        moving = new MovingKernels(launcher);
        pointwise = new PointwiseKernels(launcher);
        MatmulKernels products = new MatmulKernels(launcher);
        matmul = MatmulChoice.open(launcher, products, new ScaledKernels(launcher), pointwise);
        reduce = new ReduceKernels(launcher);
        quantize = new QuantizeKernels(launcher);
        weights = new WeightsKernels(launcher, quantize, products);
        norm = new NormKernels(launcher);
        cast = new CastKernels(launcher);
        attention = new AttentionKernels(launcher);
        rope = new RopeKernels(launcher);
        token = new TokenKernels(launcher);
        optimizer = new OptimizerKernels(launcher);
    }

    // ---- moving and filling

    @Override
    public void fill(Tensor out, float value) {
        moving.fill(out, value);
    }

    @Override
    public void cast(Tensor out, Tensor x) {
        moving.cast(out, x);
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
        moving.copy(out, outOffset, outStrides, x, xOffset, xStrides, sizes, beta);
    }

    @Override
    public void random(Tensor out, float deviation, long seed, int site) {
        moving.random(out, deviation, seed, site);
    }

    // ---- element by element

    @Override
    public void axpby(Tensor out, float a, Tensor x, float beta) {
        pointwise.axpby(out, a, x, beta);
    }

    @Override
    public void scale(Tensor out, Tensor x, Tensor factor) {
        pointwise.scale(out, x, factor);
    }

    @Override
    public void add(Tensor out, Tensor x, Tensor y) {
        pointwise.add(out, x, y);
    }

    @Override
    public void mul(Tensor out, Tensor x, Tensor y, float beta) {
        pointwise.mul(out, x, y, beta);
    }

    @Override
    public void addRow(Tensor out, Tensor x, Tensor row) {
        pointwise.addRow(out, x, row);
    }

    @Override
    public void gelu(@Nullable Tensor out, Tensor x, Casts casts) {
        if (out != null && casts.isNone()) {
            pointwise.gelu(out, x);
        } else {
            cast.gelu(out, x, casts);
        }
    }

    @Override
    public void geluGrad(Tensor dx, Tensor dy, Tensor x, float beta, Casts casts) {
        if (casts.isNone()) {
            pointwise.geluGrad(dx, dy, x, beta);
        } else {
            cast.geluGrad(dx, dy, x, beta, casts);
        }
    }

    @Override
    public void swiGlu(@Nullable Tensor out, Tensor x, Casts casts) {
        if (out != null && casts.isNone()) {
            pointwise.swiGlu(out, x);
        } else {
            cast.swiGlu(out, x, casts);
        }
    }

    @Override
    public void swiGluGrad(Tensor dx, Tensor dy, Tensor x, float beta) {
        pointwise.swiGluGrad(dx, dy, x, beta);
    }

    @Override
    public void dropout(Tensor out, Tensor x, float p, long seed, Tensor counters, int site, long first, float beta) {
        pointwise.dropout(out, x, p, seed, counters, site, first, beta);
    }

    // ---- matrix products

    @Override
    public void matmul(Tensor out, Tensor a, boolean ta, Tensor b, boolean tb, float beta, Epilogue epilogue) {
        matmul.matmul(out, a, ta, b, tb, beta, epilogue);
    }

    @Override
    public void sumRows(Tensor out, Tensor x, float beta) {
        reduce.sumRows(out, x, beta);
    }

    @Override
    public void sum(Tensor out, Tensor x) {
        reduce.sum(out, x);
    }

    // ---- low precision

    @Override
    public void absMax(Tensor amax, Tensor x, float beta) {
        quantize.absMax(amax, x, beta);
    }

    @Override
    public void scaleOf(Tensor scale, Tensor amax, DType type) {
        quantize.scaleOf(scale, amax, type);
    }

    @Override
    public void quantize(@Nullable Scaled out, @Nullable Scaled transposed, Tensor x) {
        quantize.quantize(out, transposed, x);
    }

    @Override
    public void dequantize(Tensor out, Scaled x) {
        quantize.dequantize(out, x);
    }

    @Override
    public void matmulScaled(Tensor out, Scaled a, Scaled b, float beta, Epilogue epilogue) {
        matmul.matmul(out, a, b, beta, epilogue);
    }

    @Override
    public void matmulWeights(Tensor out, Tensor x, Scaled w, boolean transposed, float beta, Epilogue epilogue) {
        weights.matmul(out, x, w, transposed, beta, epilogue);
    }

    @Override
    public void delayScales(Tensor scales, Tensor history, Tensor amax, Tensor largest) {
        quantize.delayScales(scales, history, amax, largest);
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
        if (out != null && casts.isNone()) {
            norm.layerNorm(out, total, mean, rstd, x, residual, weight, bias, epsilon);
        } else {
            cast.layerNorm(out, total, mean, rstd, x, residual, weight, bias, epsilon, casts);
        }
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
        norm.layerNormGrad(dx, beta, dWeight, dBias, weightBeta, dy, x, mean, rstd, weight);
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
        if (out != null && casts.isNone()) {
            norm.rmsNorm(out, total, rstd, x, residual, weight, epsilon);
        } else {
            cast.rmsNorm(out, total, rstd, x, residual, weight, epsilon, casts);
        }
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
        norm.rmsNormGrad(dx, beta, dWeight, weightBeta, dy, x, rstd, weight);
    }

    // ---- attention

    @Override
    public void softmax(Tensor out, Tensor x) {
        norm.softmax(out, x);
    }

    @Override
    public void softmaxGrad(Tensor dx, Tensor dy, Tensor y, float beta) {
        norm.softmaxGrad(dx, dy, y, beta);
    }

    @Override
    public void rope(Tensor out, Tensor x, int heads, int headDim, float base, int firstPosition, boolean inverse) {
        rope.rope(out, x, heads, headDim, base, firstPosition, inverse);
    }

    @Override
    public void attention(Tensor out, Tensor lse, Tensor qkv, int heads, int kvHeads) {
        attention.attention(out, lse, qkv, heads, kvHeads);
    }

    @Override
    public void attentionGrad(Tensor dQkv, Tensor dOut, Tensor qkv, Tensor out, Tensor lse, int heads, int kvHeads) {
        attention.attentionGrad(dQkv, dOut, qkv, out, lse, heads, kvHeads);
    }

    // ---- tokens

    @Override
    public void embedding(
            Tensor out, Tensor table, Tensor ids, int firstId, int vocabulary, @Nullable Tensor positions) {
        token.embedding(out, table, ids, firstId, positions);
    }

    @Override
    public void embeddingGrad(Tensor dTable, Tensor dy, Tensor ids, int firstId, float beta) {
        token.embeddingGrad(dTable, dy, ids, firstId, beta);
    }

    @Override
    public void crossEntropy(Tensor losses, Tensor logits, Tensor labels, @Nullable Tensor scale) {
        token.crossEntropy(losses, logits, labels, scale);
    }

    @Override
    public void crossEntropyStats(Tensor stats, Tensor logits, Tensor labels, int firstLabel) {
        token.crossEntropyStats(stats, logits, labels, firstLabel);
    }

    @Override
    public void crossEntropyShard(
            Tensor losses, Tensor logits, Tensor labels, int firstLabel, Tensor stats, @Nullable Tensor scale) {
        token.crossEntropyShard(losses, logits, labels, firstLabel, stats, scale);
    }

    // ---- optimizers, over flat tensors

    @Override
    public void norm(Tensor out, Tensor gradients) {
        reduce.norm(out, gradients);
    }

    @Override
    public void count(Tensor counter, Tensor flag, int index) {
        reduce.count(counter, flag, index);
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
        optimizer.adamW(
                values,
                master,
                m,
                v,
                gradients,
                learningRate,
                step,
                norm,
                decays,
                beta1,
                beta2,
                epsilon,
                weightDecay,
                clip,
                rounding);
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
        optimizer.sgd(
                values,
                master,
                momentum,
                gradients,
                learningRate,
                norm,
                decays,
                momentumFactor,
                weightDecay,
                clip,
                rounding);
    }

    @Override
    public void close() {
        matmul.close();
    }
}
