package io.jacquard.benchmarks.peers;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.ndarray.types.SparseFormat;
import ai.djl.nn.Activation;
import ai.djl.nn.core.Embedding;
import ai.djl.nn.core.Linear;
import ai.djl.nn.norm.LayerNorm;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.JniUtils;
import io.jacquard.tensor.DType;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/// DJL's arrays of its PyTorch engine. An operation's result belongs to the manager of its first operand: what lives on
/// is lent to the manager of the run that is going on, which then frees all that the run made.
final class DjlLibrary implements Library<NDArray> {
    private static final String F32_ONLY =
            "DJL computes in f32 only: its PyTorch engine does not know BFLOAT16, and a cast to it ends the JVM";

    private final NDManager manager = Engine.getEngine("PyTorch").newBaseManager(Device.cpu());
    private final Set<NDArray> living = Collections.newSetFromMap(new IdentityHashMap<>());
    private final Map<Integer, NDArray> masks = new HashMap<>();
    private final Map<Double, NDArray> constants = new HashMap<>();

    DjlLibrary() {
        JniUtils.setGradMode(true);
    }

    static void requireF32(DType dtype) {
        if (dtype != DType.F32) {
            throw new UnsupportedOperationException(F32_ONLY);
        }
    }

    private NDArray kept(NDArray array) {
        living.add(array);
        return array;
    }

    @Override
    public NDArray floats(Floats values, DType dtype) {
        requireF32(dtype);
        return kept(copied(manager.create(values.values(), new Shape(values.dims()))));
    }

    @Override
    public NDArray ids(int[] values, long... dims) {
        long[] ids = Arrays.stream(values).asLongStream().toArray();
        return kept(copied(manager.create(ids, new Shape(dims))));
    }

    /// What `create` returns lies in a buffer of the JVM's, without PyTorch's alignment.
    private static NDArray copied(NDArray created) {
        try (created) {
            return created.duplicate();
        }
    }

    @Override
    public Floats read(NDArray t) {
        return new Floats(t.toFloatArray(), t.getShape().getShape());
    }

    @Override
    public void free(NDArray t) {
        living.remove(t);
        t.close();
    }

    @Override
    public List<NDArray> scoped(Supplier<List<NDArray>> work) {
        try (NDManager run = manager.newSubManager()) {
            living.forEach(array -> array.tempAttach(run));
            List<NDArray> result = work.get();
            for (NDArray array : result) {
                if (living.add(array)) {
                    array.attach(manager);
                }
            }
            return result;
        }
    }

    @Override
    public NDArray linear(NDArray x, NDArray weight, @Nullable NDArray bias) {
        return Linear.linear(x, weight, bias).singletonOrThrow();
    }

    @Override
    public NDArray matmul(NDArray a, NDArray b) {
        return a.matMul(b);
    }

    @Override
    public NDArray add(NDArray a, NDArray b) {
        return a.add(b);
    }

    @Override
    public NDArray layerNorm(NDArray x, NDArray weight, NDArray bias) {
        return LayerNorm.layerNorm(x, weight.getShape(), weight, bias, NormRow.EPSILON)
                .singletonOrThrow();
    }

    @Override
    public NDArray rmsNorm(NDArray x, NDArray weight) {
        NDArray scale = x.square()
                .mean(new int[] {x.getShape().dimension() - 1}, true)
                .addi(constant(NormRow.EPSILON))
                .pow(constant(-0.5));
        return x.mul(scale).mul(weight);
    }

    @Override
    public NDArray gelu(NDArray x) {
        return gelu(x, Gelu.ERF);
    }

    @Override
    public NDArray gelu(NDArray x, Gelu function) {
        if (function == Gelu.ERF) {
            return Activation.gelu(x);
        }
        NDArray inner = x.square()
                .muli(constant(Gelu.SCALE * Gelu.CUBIC))
                .addi(constant(Gelu.SCALE))
                .mul(x);
        return inner.tanh().add(constant(1)).mul(x).muli(constant(0.5));
    }

    @Override
    public NDArray swiglu(NDArray x) {
        int last = x.getShape().dimension() - 1;
        long half = x.getShape().get(last) / 2;
        NDArray gate = narrow(x, last, 0, half);
        return gate.mul(Activation.sigmoid(gate)).mul(narrow(x, last, half, half));
    }

    @Override
    public NDArray embedding(NDArray table, NDArray ids) {
        return Embedding.embedding(ids, table, SparseFormat.DENSE).singletonOrThrow();
    }

    /// Put together: DJL does not bind PyTorch's fused attention.
    @Override
    public NDArray attention(NDArray query, NDArray key, NDArray value) {
        Shape q = query.getShape();
        long kvHeads = key.getShape().get(1);
        NDArray scaled = query.mul(constant(1 / Math.sqrt((double) q.get(3))));
        if (q.get(1) == kvHeads) {
            return attend(scaled, key, value);
        }
        NDArray grouped = scaled.reshape(q.get(0), kvHeads, q.get(1) / kvHeads, q.get(2), q.get(3));
        return attend(grouped, key.expandDims(2), value.expandDims(2)).reshape(q);
    }

    private NDArray attend(NDArray query, NDArray key, NDArray value) {
        int last = query.getShape().dimension() - 1;
        NDArray scores = query.matMul(key.swapAxes(last - 1, last));
        scores.addi(mask((int) query.getShape().get(last - 1)));
        return scores.softmax(last).matMul(value);
    }

    /// Operations that take a number put it into a buffer of the JVM's, which is collected while the graph still
    /// needs it: gradients came out wrong.
    private NDArray constant(double value) {
        return constants.computeIfAbsent(value, _ -> copied(manager.create((float) value)));
    }

    private NDArray mask(int time) {
        return masks.computeIfAbsent(time, _ -> {
            float[] mask = new float[time * time];
            for (int t = 0; t < time; t++) {
                Arrays.fill(mask, t * time + t + 1, (t + 1) * time, Float.NEGATIVE_INFINITY);
            }
            return copied(manager.create(mask, new Shape(time, time)));
        });
    }

    @Override
    public NDArray rotate(NDArray x, NDArray cos, NDArray sin) {
        int last = x.getShape().dimension() - 1;
        long half = x.getShape().get(last) / 2;
        NDList turned = new NDList(narrow(x, last, half, half).neg(), narrow(x, last, 0, half));
        return x.mul(cos).add(NDArrays.concat(turned, last).mul(sin));
    }

    @Override
    public NDArray crossEntropy(NDArray logits, NDArray labels) {
        return logits.logSoftmax(1).gather(labels.expandDims(1), 1).neg().flatten();
    }

    @Override
    public NDArray mean(NDArray x) {
        return x.mean();
    }

    @Override
    public NDArray narrow(NDArray x, int dim, long from, long count) {
        return JniUtils.slice((PtNDArray) x, dim, from, from + count, 1);
    }

    @Override
    public NDArray reshape(NDArray x, long... dims) {
        return x.reshape(dims);
    }

    @Override
    public NDArray swap(NDArray x, int dim, int other) {
        return x.swapAxes(dim, other);
    }

    @Override
    public NDArray cast(NDArray x, DType dtype) {
        requireF32(dtype);
        return copy(x);
    }

    @Override
    public NDArray copy(NDArray x) {
        return x.duplicate();
    }

    /// To one dimension and back: there is no other way to have it stored anew.
    @Override
    public NDArray contiguous(NDArray x) {
        return x.reshape(x.size()).reshape(x.getShape());
    }

    @Override
    public void differentiate(NDArray leaf) {
        leaf.setRequiresGradient(true);
    }

    /// Added to those of the calls before, since the last [#forgetGradient]: DJL has only the leaves' own
    /// gradients.
    @Override
    public List<NDArray> gradients(NDArray y, NDArray dy, List<NDArray> leaves) {
        JniUtils.backward((PtNDArray) y, (PtNDArray) dy, true, false);
        return leaves.stream().map(NDArray::getGradient).toList();
    }

    @Override
    public void forgetGradient(NDArray leaf) {
        JniUtils.zeroGrad((PtNDArray) leaf);
    }

    @Override
    public void setGradient(NDArray leaf, NDArray gradient) {
        forgetGradient(leaf);
        JniUtils.backward((PtNDArray) leaf, (PtNDArray) gradient, true, false);
    }

    @Override
    public void backward(NDArray loss) {
        JniUtils.backward((PtNDArray) loss, (PtNDArray) loss.onesLike(), false, false);
    }

    @Override
    public double item(NDArray t) {
        return t.getFloat();
    }

    @Override
    public Updates adamW(List<NDArray> decayed, List<NDArray> others, double rate) {
        return new DjlAdamW(decayed, others, rate);
    }

    @Override
    public Mixed mixed() {
        throw new UnsupportedOperationException(F32_ONLY);
    }
}
