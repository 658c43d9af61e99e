package io.jacquard.benchmarks.peers;

import io.jacquard.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.broadcast.BroadcastMulOp;
import org.nd4j.linalg.api.ops.impl.reduce.floating.SquaredNorm;
import org.nd4j.linalg.api.ops.impl.transforms.floating.RSqrt;
import org.nd4j.linalg.api.ops.impl.transforms.strict.GELU;
import org.nd4j.linalg.api.ops.impl.transforms.strict.GELUDerivative;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Swish;
import org.nd4j.linalg.api.ops.impl.transforms.strict.SwishDerivative;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;

/// A row by ND4J's operations, into arrays that are allocated before; gradients by its own backward operations where it
/// has one, else put together.
final class Nd4jKernel implements PeerKernel {
    private final KernelRow row;
    private final DataType type;
    private final List<INDArray> arrays = new ArrayList<>();
    private final List<INDArray> outputs = new ArrayList<>();
    private final Runnable work;
    private Runnable reset = () -> {};
    private Runnable close = () -> {};

    Nd4jKernel(KernelRow row) {
        this.row = row;
        type = row.dtype() == DType.BF16 ? DataType.BFLOAT16 : DataType.FLOAT;
        work = switch (row) {
            case MatmulRow r -> matmul(r);
            case AttentionRow r -> r.dy() == null ? attention(r) : attentionGradient(r, r.dy());
            case NormRow r -> norm(r);
            case ActivationRow r -> r.gelu() == null ? swiglu(r) : gelu(r);
            case CrossEntropyRow r -> crossEntropy(r);
            case EmbeddingGradientRow r -> embeddingGradient(r);
            case MovingRow r -> moving(r);
            case AdamWRow r -> adamW(r);
        };
    }

    private INDArray kept(INDArray array) {
        arrays.add(array);
        return array;
    }

    private INDArray operand(Floats values) {
        return operand(values, type);
    }

    private INDArray operand(Floats values, DataType as) {
        long[] dims = values.dims();
        return kept(Nd4j.create(values.values(), dims, DataType.FLOAT).castTo(as));
    }

    private INDArray ids(int[] values) {
        return kept(Nd4j.createFromArray(values));
    }

    private INDArray scratch(long... dims) {
        return kept(Nd4j.create(type, dims));
    }

    /// Full of NaN: one that is never written is no result.
    private INDArray output(long... dims) {
        INDArray output = scratch(dims).assign(Float.NaN);
        outputs.add(output);
        return output;
    }

    private static Runnable op(String name, List<INDArray> in, List<INDArray> out, double[] floats, int... integers) {
        return Nd4jOps.of(name, in, out, floats, integers);
    }

    private static Runnable op(String name, List<INDArray> in, INDArray out, int... integers) {
        return Nd4jOps.of(name, in, List.of(out), new double[0], integers);
    }

    /// `out = scale a b`, of matrices or stacks of them.
    private static Runnable product(INDArray a, boolean ta, INDArray b, boolean tb, INDArray out, double scale) {
        return op("matmul", List.of(a, b), List.of(out), new double[] {scale, 0}, ta ? 1 : 0, tb ? 1 : 0, 0);
    }

    private Runnable matmul(MatmulRow r) {
        INDArray first = operand(r.first());
        INDArray second = operand(r.second());
        long rows = r.form() == MatmulRow.Form.WEIGHT_GRADIENT ? first.size(1) : first.size(0);
        long columns = r.form() == MatmulRow.Form.FORWARD ? second.size(0) : second.size(1);
        INDArray bias = r.bias() == null ? null : operand(r.bias());
        INDArray activated = r.gelu() == null ? null : output(rows, columns);
        INDArray out = output(rows, columns);
        boolean transposesFirst = r.form() == MatmulRow.Form.WEIGHT_GRADIENT;
        boolean transposesSecond = r.form() == MatmulRow.Form.FORWARD;
        Runnable product = product(first, transposesFirst, second, transposesSecond, out, 1);
        return () -> {
            product.run();
            if (bias != null) {
                out.addiRowVector(bias);
            }
            if (activated != null) {
                Nd4j.exec(new GELU(out, activated));
            }
        };
    }

    /// Queries, keys and values, or gradients of the first, of heads that share keys one after the other.
    private INDArray grouped(Floats packed, AttentionRow r, int from, int heads) {
        INDArray all =
                Nd4j.create(packed.values(), packed.dims(), DataType.FLOAT).castTo(type);
        INDArray part = all.get(
                NDArrayIndex.all(),
                NDArrayIndex.all(),
                NDArrayIndex.interval((long) from * r.headDim(), (long) (from + heads) * r.headDim()));
        INDArray swapped = part.dup('c')
                .reshape(r.batch(), r.time(), heads, r.headDim())
                .permute(0, 2, 1, 3)
                .dup('c');
        return kept(swapped).reshape(r.batch(), r.kvHeads(), (long) heads / r.kvHeads() * r.time(), r.headDim());
    }

    private List<INDArray> parts(AttentionRow r) {
        return List.of(
                grouped(r.qkv(), r, 0, r.heads()),
                grouped(r.qkv(), r, r.heads(), r.kvHeads()),
                grouped(r.qkv(), r, r.heads() + r.kvHeads(), r.kvHeads()));
    }

    private Runnable attention(AttentionRow r) {
        List<INDArray> qkv = parts(r);
        INDArray scores = scores(r);
        INDArray out = output(r.batch(), r.heads(), r.time(), r.headDim());
        Runnable masked = maskedScores(r, qkv, scores);
        Runnable softmax = op("softmax", List.of(scores), scores, 3);
        Runnable mixed = product(
                scores, false, qkv.get(2), false, out.reshape(qkv.getFirst().shape()), 1);
        return () -> {
            masked.run();
            softmax.run();
            mixed.run();
        };
    }

    private INDArray scores(AttentionRow r) {
        return scratch(r.batch(), r.kvHeads(), (long) r.heads() / r.kvHeads() * r.time(), r.time());
    }

    private Runnable maskedScores(AttentionRow r, List<INDArray> qkv, INDArray scores) {
        int rows = r.heads() / r.kvHeads() * r.time();
        INDArray mask = operand(new Floats(Nd4jOps.causalMask(rows, r.time()), 1, (long) rows * r.time()));
        INDArray flat = scores.reshape((long) r.batch() * r.kvHeads(), (long) rows * r.time());
        Runnable product = product(qkv.get(0), false, qkv.get(1), true, scores, 1 / Math.sqrt(r.headDim()));
        return () -> {
            product.run();
            flat.addiRowVector(mask);
        };
    }

    /// The forward pass runs once, here; it leaves the masked scores and their softmax.
    private Runnable attentionGradient(AttentionRow r, Floats dy) {
        List<INDArray> qkv = parts(r);
        Floats packed = new Floats(dy.values(), r.batch(), r.time(), (long) r.heads() * r.headDim());
        INDArray up = grouped(packed, r, 0, r.heads());
        INDArray scores = scores(r);
        INDArray p = scores(r);
        INDArray dP = scores(r);
        INDArray dScores = scores(r);
        maskedScores(r, qkv, scores).run();
        op("softmax", List.of(scores), p, 3).run();
        INDArray dQuery = output(r.batch(), r.heads(), r.time(), r.headDim());
        INDArray dKey = output(r.batch(), r.kvHeads(), r.time(), r.headDim());
        INDArray dValue = output(r.batch(), r.kvHeads(), r.time(), r.headDim());
        double scale = 1 / Math.sqrt(r.headDim());
        List<Runnable> steps = List.of(
                product(p, true, up, false, dValue, 1),
                product(up, false, qkv.get(2), true, dP, 1),
                op("softmax_bp", List.of(scores, dP), dScores, 3),
                product(
                        dScores,
                        false,
                        qkv.get(1),
                        false,
                        dQuery.reshape(qkv.getFirst().shape()),
                        scale),
                product(dScores, true, qkv.get(0), false, dKey, scale));
        return () -> steps.forEach(Runnable::run);
    }

    private Runnable norm(NormRow r) {
        INDArray x = operand(r.x());
        INDArray weight = operand(r.weight());
        INDArray bias = r.bias() == null ? null : operand(r.bias());
        if (r.dy() != null) {
            return bias == null
                    ? rmsGradient(x, weight, operand(r.dy()))
                    : layerGradient(x, weight, bias, operand(r.dy()));
        }
        INDArray out = output(x.shape());
        if (r.residual() == null) {
            return norm(x, weight, bias, out);
        }
        INDArray residual = operand(r.residual());
        INDArray total = output(x.shape());
        Runnable norm = norm(total, weight, bias, out);
        return () -> {
            x.addi(residual, total);
            norm.run();
        };
    }

    private Runnable norm(INDArray x, INDArray weight, @Nullable INDArray bias, INDArray out) {
        if (bias != null) {
            return Nd4jOps.layerNorm(List.of(x, weight, bias), List.of(out), false);
        }
        INDArray scale = scratch(x.size(0));
        Runnable scaled = rmsScaled(x, scale, out);
        return () -> {
            scaled.run();
            out.muliRowVector(weight);
        };
    }

    /// ND4J has no RMSNorm: its square sum, root, and products by column and row.
    private static Runnable rmsScaled(INDArray x, INDArray scale, INDArray out) {
        return () -> {
            Nd4j.exec(new SquaredNorm(x, scale, 1));
            scale.divi(x.size(1)).addi(NormRow.EPSILON);
            Nd4j.exec(new RSqrt(scale, scale));
            Nd4j.exec(new BroadcastMulOp(x, scale, out, 0));
        };
    }

    private Runnable layerGradient(INDArray x, INDArray weight, INDArray bias, INDArray dy) {
        return Nd4jOps.layerNorm(
                List.of(x, weight, bias, dy),
                List.of(output(x.shape()), output(weight.shape()), output(bias.shape())),
                true);
    }

    private Runnable rmsGradient(INDArray x, INDArray weight, INDArray dy) {
        INDArray scale = scratch(x.size(0));
        INDArray normed = scratch(x.shape());
        rmsScaled(x, scale, normed).run();
        INDArray dx = output(x.shape());
        INDArray dWeight = output(weight.shape());
        INDArray product = scratch(x.shape());
        INDArray dots = scratch(x.size(0));
        Runnable columns = op("reduce_sum", List.of(product), dWeight, 0);
        Runnable rows = op("reduce_mean", List.of(product), dots, 1);
        return () -> {
            dy.muli(normed, product);
            columns.run();
            product.muliRowVector(weight);
            rows.run();
            Nd4j.exec(new BroadcastMulOp(normed, dots, product, 0));
            Nd4j.exec(new BroadcastMulOp(dy, weight, dx, 1));
            dx.subi(product);
            Nd4j.exec(new BroadcastMulOp(dx, scale, dx, 0));
        };
    }

    private Runnable gelu(ActivationRow r) {
        INDArray x = operand(r.x());
        INDArray out = output(x.shape());
        if (r.dy() == null) {
            return () -> Nd4j.exec(new GELU(x, out));
        }
        INDArray dy = operand(r.dy());
        return () -> {
            Nd4j.exec(new GELUDerivative(x, out));
            out.muli(dy);
        };
    }

    private static INDArray half(INDArray x, int index) {
        long width = x.size(1) / 2;
        return x.get(NDArrayIndex.all(), NDArrayIndex.interval(index * width, (index + 1) * width));
    }

    private Runnable swiglu(ActivationRow r) {
        INDArray x = operand(r.x());
        INDArray gate = half(x, 0);
        INDArray value = half(x, 1);
        if (r.dy() == null) {
            INDArray out = output(gate.shape());
            return () -> {
                Nd4j.exec(new Swish(gate, out));
                out.muli(value);
            };
        }
        INDArray dy = operand(r.dy());
        INDArray dx = output(x.shape());
        INDArray dGate = half(dx, 0);
        INDArray dValue = half(dx, 1);
        return () -> {
            Nd4j.exec(new SwishDerivative(gate, dGate));
            dGate.muli(value).muli(dy);
            Nd4j.exec(new Swish(gate, dValue));
            dValue.muli(dy);
        };
    }

    private Runnable crossEntropy(CrossEntropyRow r) {
        INDArray logits = operand(r.logits());
        INDArray labels = ids(r.labels());
        INDArray losses = output(r.labels().length);
        INDArray gradient = output(logits.shape());
        String name = "sparse_softmax_cross_entropy_loss_with_logits";
        Runnable forward = op(name, List.of(labels, logits), losses);
        Runnable backward = op(name + "_grad", List.of(labels, logits), gradient);
        return () -> {
            forward.run();
            backward.run();
            gradient.divi(r.labels().length);
        };
    }

    private Runnable embeddingGradient(EmbeddingGradientRow r) {
        INDArray dy = operand(r.dy());
        INDArray ids = ids(r.ids());
        INDArray table = output(r.vocabulary(), r.dy().columns());
        Runnable add = op("scatter_add", List.of(table, ids, dy), table);
        return () -> {
            table.assign(0);
            add.run();
        };
    }

    private Runnable moving(MovingRow r) {
        INDArray x = operand(r.x());
        return switch (r.function()) {
            case COPY -> {
                INDArray out = output(x.shape());
                yield () -> out.assign(x);
            }
            case PERMUTE -> {
                INDArray permuted = x.permute(0, 2, 1, 3);
                INDArray out = output(permuted.shape());
                yield () -> out.assign(permuted);
            }
            case ROPE -> rope(x);
        };
    }

    /// Each half by itself, with the cosines and sines of its half.
    private Runnable rope(INDArray x) {
        int time = (int) x.size(1);
        int headDim = (int) x.size(3);
        INDArray cos = halves(operand(MovingRow.angles(true, time, headDim)), 0);
        INDArray sin = halves(operand(MovingRow.angles(false, time, headDim)), 0);
        INDArray out = output(x.shape());
        INDArray product = scratch(x.size(0), time, x.size(2), headDim / 2);
        List<Runnable> steps = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            INDArray part = halves(out, i);
            steps.add(op("multiply", List.of(halves(x, i), cos), part));
            steps.add(op("multiply", List.of(halves(x, 1 - i), sin), product));
            steps.add(i == 0 ? () -> part.subi(product) : () -> part.addi(product));
        }
        return () -> steps.forEach(Runnable::run);
    }

    private static INDArray halves(INDArray x, int index) {
        long width = x.size(3) / 2;
        return x.get(
                NDArrayIndex.all(),
                NDArrayIndex.all(),
                NDArrayIndex.all(),
                NDArrayIndex.interval(index * width, (index + 1) * width));
    }

    private Runnable adamW(AdamWRow r) {
        INDArray start = operand(r.weights(), DataType.FLOAT);
        INDArray first = operand(r.firstGradients(), DataType.FLOAT);
        INDArray second = operand(r.gradients(), DataType.FLOAT);
        INDArray weights = kept(start.dup());
        INDArray gradients = kept(first.dup());
        outputs.add(weights);
        INDArray rounded = type == DataType.FLOAT ? null : output(weights.shape());
        Nd4jAdamW updates = new Nd4jAdamW(AdamWRow.RATE);
        updates.add(weights, AdamWRow.DECAY);
        close = updates::close;
        reset = () -> {
            weights.assign(start);
            updates.reset();
            updates.step(List.of(gradients.assign(first)));
            gradients.assign(second);
        };
        return () -> {
            updates.step(List.of(gradients));
            if (rounded != null) {
                rounded.assign(weights);
            }
        };
    }

    @Override
    public KernelRow row() {
        return row;
    }

    @Override
    public void reset() {
        reset.run();
    }

    @Override
    public void run() {
        work.run();
    }

    @Override
    public List<Floats> outputs() {
        return outputs.stream().map(Nd4jOps::read).toList();
    }

    @Override
    public void close() {
        outputs.clear();
        close.run();
        arrays.stream().filter(INDArray::closeable).forEach(INDArray::close);
        arrays.clear();
    }
}
