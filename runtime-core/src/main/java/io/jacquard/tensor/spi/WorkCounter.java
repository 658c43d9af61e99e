package io.jacquard.tensor.spi;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// [Kernels] that count instead of computing: a method added there does not compile until its work is stated here.
/// In the formulas n counts elements (or rows, of c elements), s the bytes of an element.
final class WorkCounter implements Kernels {
    private final List<Work> calls = new ArrayList<>();

    Work only() {
        if (calls.size() != 1) {
            throw new IllegalArgumentException("work: " + calls.size() + " kernel calls instead of one");
        }
        return calls.getFirst();
    }

    private void streams(long bytes, long operations) {
        calls.add(new Work(bytes, operations, null));
    }

    private void multiplies(long bytes, long operations, DType matrix) {
        calls.add(new Work(bytes, operations, matrix));
    }

    private static long bytes(@Nullable Tensor... operands) {
        long sum = 0;
        for (Tensor t : operands) {
            sum += t == null ? 0 : t.bytes();
        }
        return sum;
    }

    private static long bytes(@Nullable Scaled matrix) {
        return matrix == null ? 0 : matrix.bytes();
    }

    /// Written, and read before where it accumulates.
    private static long written(@Nullable Tensor out, float beta) {
        return (beta == 0f ? 1 : 2) * bytes(out);
    }

    private static boolean same(Tensor a, Tensor b) {
        return a.address() == b.address();
    }

    private static long last(Tensor t) {
        Shape s = t.shape();
        return s.rank() == 0 ? 1 : s.dim(s.rank() - 1);
    }

    private static long dim(Tensor t, int fromLast) {
        Shape s = t.shape();
        return s.rank() < fromLast ? 1 : s.dim(s.rank() - fromLast);
    }

    /// What is made on the way: each copy, and the largest magnitude.
    private static long bytes(Casts casts) {
        return bytes(casts.straight()) + bytes(casts.transposed()) + 2 * bytes(casts.amax());
    }

    // ---- moving and filling

    /// n s
    @Override
    public void fill(Tensor out, float value) {
        streams(bytes(out), 0);
    }

    /// n (s of out + s of x); n
    @Override
    public void cast(Tensor out, Tensor x) {
        streams(bytes(out, x), out.size());
    }

    /// (2 + beta) n s over the index space; the additions of beta
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
        long n = 1;
        for (int size : sizes) {
            n *= size;
        }
        streams(x.dtype().bytes(n) + (beta == 0f ? 1 : 2) * out.dtype().bytes(n), beta == 0f ? 0 : n);
    }

    /// n s; 45 n normal, 20 n uniform
    @Override
    public void random(Tensor out, float deviation, long seed, int site) {
        streams(bytes(out), (deviation == 0f ? 20 : 45) * out.size());
    }

    // ---- element by element

    /// (2 + beta) n s; 2 n
    @Override
    public void axpby(Tensor out, float a, Tensor x, float beta) {
        streams(bytes(x) + written(out, beta), 2 * out.size());
    }

    /// 2 n s; n: of the call that changes something
    @Override
    public void scale(Tensor out, Tensor x, Tensor factor) {
        streams(bytes(out, x, factor), out.size());
    }

    /// 3 n s; n
    @Override
    public void add(Tensor out, Tensor x, Tensor y) {
        streams(bytes(out, x, y), out.size());
    }

    /// (3 + beta) n s; 2 n
    @Override
    public void mul(Tensor out, Tensor x, Tensor y, float beta) {
        streams(bytes(x, y) + written(out, beta), 2 * out.size());
    }

    /// (2 n + 1) c s; n c
    @Override
    public void addRow(Tensor out, Tensor x, Tensor row) {
        streams(bytes(out, x, row), out.size());
    }

    /// 2 n s, n s without out, and what is cast; 10 n
    @Override
    public void gelu(@Nullable Tensor out, Tensor x, Casts casts) {
        streams(bytes(out, x) + bytes(casts), 10 * x.size());
    }

    /// (3 + beta) n s, and what is cast; 16 n
    @Override
    public void geluGrad(Tensor dx, Tensor dy, Tensor x, float beta, Casts casts) {
        streams(bytes(dy, x) + written(dx, beta) + bytes(casts), 16 * dx.size());
    }

    /// 3 n f s, 2 n f s without out, and what is cast; 8 n f
    @Override
    public void swiGlu(@Nullable Tensor out, Tensor x, Casts casts) {
        streams(bytes(out, x) + bytes(casts), 4 * x.size());
    }

    /// (5 + 2 beta) n f s; 16 n f
    @Override
    public void swiGluGrad(Tensor dx, Tensor dy, Tensor x, float beta) {
        streams(bytes(dy, x) + written(dx, beta), 16 * dy.size());
    }

    /// (2 + beta) n s; 20 n
    @Override
    public void dropout(Tensor out, Tensor x, float p, long seed, Tensor counters, int site, long first, float beta) {
        streams(bytes(x, counters) + written(out, beta), 20 * out.size());
    }

    // ---- matrix products

    /// (m k + k n) s + (1 + beta) m n s of out, and the epilogue's operands; 2 m n k
    @Override
    public void matmul(Tensor out, Tensor a, boolean ta, Tensor b, boolean tb, float beta, Epilogue epilogue) {
        long k = tb ? last(b) : b.size() / Math.max(1, last(b));
        multiplies(
                bytes(a, b, epilogue.bias(), epilogue.preActivation()) + written(out, beta),
                2 * out.size() * k,
                a.dtype());
    }

    /// n c s + (1 + beta) c s of out; n c
    @Override
    public void sumRows(Tensor out, Tensor x, float beta) {
        streams(bytes(x) + written(out, beta), x.size());
    }

    /// n s; n
    @Override
    public void sum(Tensor out, Tensor x) {
        streams(bytes(out, x), x.size());
    }

    // ---- low precision; a matrix is its values, scales and zeros

    /// n s; n
    @Override
    public void absMax(Tensor amax, Tensor x, float beta) {
        streams(bytes(x) + written(amax, beta), x.size());
    }

    /// 8; 1
    @Override
    public void scaleOf(Tensor scale, Tensor amax, DType type) {
        streams(bytes(scale, amax), 1);
    }

    /// n s and each copy; n for each copy
    @Override
    public void quantize(@Nullable Scaled out, @Nullable Scaled transposed, Tensor x) {
        int copies = (out == null ? 0 : 1) + (transposed == null ? 0 : 1);
        streams(bytes(x) + bytes(out) + bytes(transposed), copies * x.size());
    }

    /// n s and the matrix; n
    @Override
    public void dequantize(Tensor out, Scaled x) {
        streams(bytes(out) + bytes(x), out.size());
    }

    /// Both matrices + (1 + beta) m n s of out, and the epilogue's operands; 2 m n k
    @Override
    public void matmulScaled(Tensor out, Scaled a, Scaled b, float beta, Epilogue epilogue) {
        multiplies(
                bytes(a) + bytes(b) + bytes(epilogue.bias(), epilogue.preActivation()) + written(out, beta),
                2 * out.size() * a.columns(),
                a.type());
    }

    /// x and the weights + (1 + beta) of out, and the epilogue's operands; 2 m n k
    @Override
    public void matmulWeights(Tensor out, Tensor x, Scaled w, boolean transposed, float beta, Epilogue epilogue) {
        multiplies(
                bytes(x, epilogue.bias(), epilogue.preActivation()) + bytes(w) + written(out, beta),
                2 * out.size() * last(x),
                x.dtype());
    }

    /// 8 n h + 16 n; n h
    @Override
    public void delayScales(Tensor scales, Tensor history, Tensor amax, Tensor largest) {
        streams(2 * bytes(history, amax) + bytes(scales, largest), history.size());
    }

    // ---- norms

    /// 2 n c s + 8 n, with a residual 4 n c s + 8 n, less n c s without out, and weight, bias and what is cast; 8 n
    /// c
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
        streams(bytes(out, total, mean, rstd, x, residual, weight, bias) + bytes(casts), 8 * x.size());
    }

    /// (3 + beta) n c s + 8 n, less n c s without dx, and weight and its gradients; 18 n c
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
        streams(
                bytes(dy, x, mean, rstd, weight)
                        + written(dx, beta)
                        + written(dWeight, weightBeta)
                        + written(dBias, weightBeta),
                18 * x.size());
    }

    /// 2 n c s + 4 n, with a residual 4 n c s + 4 n, less n c s without out, and weight and what is cast; 5 n c
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
        streams(bytes(out, total, rstd, x, residual, weight) + bytes(casts), 5 * x.size());
    }

    /// (3 + beta) n c s + 4 n, less n c s without dx, and weight and its gradient; 15 n c
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
        streams(bytes(dy, x, rstd, weight) + written(dx, beta) + written(dWeight, weightBeta), 15 * x.size());
    }

    // ---- attention

    /// 2 n c s; 6 n c
    @Override
    public void softmax(Tensor out, Tensor x) {
        streams(bytes(out, x), 6 * x.size());
    }

    /// (3 + beta) n c s; 5 n c
    @Override
    public void softmaxGrad(Tensor dx, Tensor dy, Tensor y, float beta) {
        streams(bytes(dy, y) + written(dx, beta), 5 * y.size());
    }

    /// 2 n w s, in place of the turned heads only; 4 n w, and 60 per position and frequency
    @Override
    public void rope(Tensor out, Tensor x, int heads, int headDim, float base, int firstPosition, boolean inverse) {
        long rows = x.size() / Math.max(1, last(x));
        long moved = same(out, x) ? rows * heads * headDim : x.size();
        streams(2 * x.dtype().bytes(moved), 4 * moved + 30L * dim(x, 2) * headDim);
    }

    /// B T (2 H + 2 Hkv) D s + 4 B H T; 2 B H T² D, the two products' lower halves. Exponentials are not counted.
    @Override
    public void attention(Tensor out, Tensor lse, Tensor qkv, int heads, int kvHeads) {
        multiplies(bytes(out, lse, qkv), 2 * out.size() * dim(out, 2), qkv.dtype());
    }

    /// B T (4 H + 4 Hkv) D s + 4 B H T; 5 B H T² D, the five products' lower halves: scores, the gradients of p, q,
    /// k and v. (The CUDA kernels do seven: scores and the gradient of p twice.)
    @Override
    public void attentionGrad(Tensor dQkv, Tensor dOut, Tensor qkv, Tensor out, Tensor lse, int heads, int kvHeads) {
        multiplies(bytes(dQkv, dOut, qkv, out, lse), 5 * out.size() * dim(out, 2), qkv.dtype());
    }

    // ---- tokens

    /// 2 n c s + 4 n, and the positions' T c s; n c. Of ids that have a row here, in both directions.
    @Override
    public void embedding(
            Tensor out, Tensor table, Tensor ids, int firstId, int vocabulary, @Nullable Tensor positions) {
        long position = positions == null ? 0 : out.dtype().bytes(last(ids) * last(out));
        streams(2 * bytes(out) + bytes(ids) + position, out.size());
    }

    /// n c s + 4 n, and the table: whole where it is overwritten, else at most n rows read and written; n c
    @Override
    public void embeddingGrad(Tensor dTable, Tensor dy, Tensor ids, int firstId, float beta) {
        long rows = beta == 0f
                ? bytes(dTable)
                : 2 * Math.min(bytes(dTable), dTable.dtype().bytes(dy.size()));
        streams(bytes(dy, ids) + rows, dy.size());
    }

    /// n c s + 8 n; 5 n c. With the gradient 2 n c s + 8 n; 10 n c
    @Override
    public void crossEntropy(Tensor losses, Tensor logits, Tensor labels, @Nullable Tensor scale) {
        int passes = scale == null ? 1 : 2;
        streams(passes * bytes(logits) + bytes(losses, labels, scale), 5L * passes * logits.size());
    }

    /// n c s + 16 n; 5 n c
    @Override
    public void crossEntropyStats(Tensor stats, Tensor logits, Tensor labels, int firstLabel) {
        streams(bytes(stats, logits, labels), 5 * logits.size());
    }

    /// 8 n + 12 n for each rank; 5 n for each rank. With the gradient 2 n c s more; 5 n c more
    @Override
    public void crossEntropyShard(
            Tensor losses, Tensor logits, Tensor labels, int firstLabel, Tensor stats, @Nullable Tensor scale) {
        long changed = scale == null ? 0 : 1;
        streams(
                2 * changed * bytes(logits) + bytes(losses, labels, stats, scale),
                5 * changed * logits.size() + 5 * stats.size() / 3);
    }

    // ---- optimizers

    /// n s; 2 n
    @Override
    public void norm(Tensor out, Tensor gradients) {
        streams(bytes(out, gradients), 2 * gradients.size());
    }

    /// 12; 1
    @Override
    public void count(Tensor counter, Tensor flag, int index) {
        streams(12, 1);
    }

    /// (24 + s of gradients + s of values where they are not the master) n; 30 n. Of BF16 (12 + s of gradients) n;
    /// 66 n
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
        streams(
                2 * bytes(master, m, v)
                        + bytes(gradients, learningRate, step, norm, decays)
                        + (same(values, master) ? 0 : bytes(values))
                        + drawn(rounding),
                (rounding == null ? 30 : 66) * master.size());
    }

    /// (16 + s of gradients + s of values where they are not the master) n; 6 n. Of BF16 (8 + s of gradients) n; 36
    /// n
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
        streams(
                2 * bytes(master, momentum)
                        + bytes(gradients, learningRate, norm, decays)
                        + (same(values, master) ? 0 : bytes(values))
                        + drawn(rounding),
                (rounding == null ? 6 : 36) * master.size());
    }

    private static long drawn(@Nullable StateRounding rounding) {
        return rounding == null ? 0 : bytes(rounding.step(), rounding.origins());
    }
}
