package io.jacquard.benchmarks.peers;

import io.jacquard.tensor.DType;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

/// The operations of `org.bytedeco:pytorch`. Each runs in a [PointerScope], which frees what it made.
final class JavaCppLibrary implements Library<Tensor> {
    private static final long NO_REDUCTION = 0;
    private static final long NO_LABEL_IGNORED = -100;

    private static ScalarType type(DType dtype) {
        return dtype == DType.BF16 ? ScalarType.BFloat16 : ScalarType.Float;
    }

    private static Tensor kept(Supplier<Tensor> made) {
        try (PointerScope _ = new PointerScope()) {
            return made.get().retainReference();
        }
    }

    @Override
    public Tensor floats(Floats values, DType dtype) {
        return kept(() -> Tensor.create(values.values(), values.dims()).to(type(dtype)));
    }

    @Override
    public Tensor ids(int[] values, long... dims) {
        return kept(() -> Tensor.create(values, dims).to(ScalarType.Long));
    }

    @Override
    public Floats read(Tensor t) {
        try (PointerScope _ = new PointerScope()) {
            Tensor plain = t.detach().to(ScalarType.Float).contiguous();
            long[] dims = new long[(int) plain.dim()];
            for (int i = 0; i < dims.length; i++) {
                dims[i] = plain.size(i);
            }
            float[] values = new float[Math.toIntExact(plain.numel())];
            FloatBuffer buffer = plain.createBuffer();
            buffer.get(values);
            return new Floats(values, dims);
        }
    }

    @Override
    public void free(Tensor t) {
        t.releaseReference();
    }

    @Override
    public List<Tensor> scoped(Supplier<List<Tensor>> work) {
        try (PointerScope _ = new PointerScope()) {
            List<Tensor> result = work.get();
            result.forEach(Tensor::retainReference);
            return result;
        }
    }

    @Override
    public Tensor linear(Tensor x, Tensor weight, @Nullable Tensor bias) {
        return bias == null ? torch.linear(x, weight) : torch.linear(x, weight, new TensorOptional(bias));
    }

    @Override
    public Tensor matmul(Tensor a, Tensor b) {
        return a.matmul(b);
    }

    @Override
    public Tensor add(Tensor a, Tensor b) {
        return a.add(b);
    }

    @Override
    public Tensor layerNorm(Tensor x, Tensor weight, Tensor bias) {
        long[] width = {weight.size(0)};
        return torch.layer_norm(x, width, new TensorOptional(weight), new TensorOptional(bias), NormRow.EPSILON, false);
    }

    @Override
    public Tensor rmsNorm(Tensor x, Tensor weight) {
        long[] width = {weight.size(0)};
        return torch.rms_norm(x, width, new TensorOptional(weight), new DoubleOptional(NormRow.EPSILON));
    }

    @Override
    public Tensor gelu(Tensor x) {
        return gelu(x, Gelu.TANH);
    }

    @Override
    public Tensor gelu(Tensor x, Gelu function) {
        return torch.gelu(x, function == Gelu.TANH ? "tanh" : "none");
    }

    @Override
    public Tensor swiglu(Tensor x) {
        TensorVector halves = x.chunk(2, -1);
        return torch.silu(halves.get(0)).mul(halves.get(1));
    }

    @Override
    public Tensor embedding(Tensor table, Tensor ids) {
        return torch.embedding(table, ids);
    }

    @Override
    public Tensor attention(Tensor query, Tensor key, Tensor value) {
        boolean grouped = query.size(1) != key.size(1);
        return torch.scaled_dot_product_attention(
                query, key, value, new TensorOptional(), 0, true, new DoubleOptional(), grouped);
    }

    @Override
    public Tensor rotate(Tensor x, Tensor cos, Tensor sin) {
        TensorVector halves = x.chunk(2, -1);
        Tensor turned = torch.cat(new TensorVector(halves.get(1).neg(), halves.get(0)), -1);
        return x.mul(cos).add(turned.mul(sin));
    }

    @Override
    public Tensor crossEntropy(Tensor logits, Tensor labels) {
        return torch.cross_entropy_loss(logits, labels, new TensorOptional(), NO_REDUCTION, NO_LABEL_IGNORED, 0);
    }

    @Override
    public Tensor mean(Tensor x) {
        return x.mean();
    }

    @Override
    public Tensor narrow(Tensor x, int dim, long from, long count) {
        return x.narrow(dim, from, count);
    }

    @Override
    public Tensor reshape(Tensor x, long... dims) {
        return x.reshape(dims);
    }

    @Override
    public Tensor swap(Tensor x, int dim, int other) {
        return x.transpose(dim, other);
    }

    @Override
    public Tensor cast(Tensor x, DType dtype) {
        return x.detach().to(type(dtype));
    }

    @Override
    public Tensor copy(Tensor x) {
        return torch.clone(x);
    }

    @Override
    public Tensor contiguous(Tensor x) {
        return x.contiguous();
    }

    @Override
    public void differentiate(Tensor leaf) {
        try (PointerScope _ = new PointerScope()) {
            leaf.set_requires_grad(true);
        }
    }

    @Override
    public List<Tensor> gradients(Tensor y, Tensor dy, List<Tensor> leaves) {
        TensorVector made = torch.grad(
                new TensorVector(y),
                new TensorVector(leaves.toArray(new Tensor[0])),
                new TensorVector(dy),
                new BoolOptional(true),
                false,
                false);
        List<Tensor> gradients = new ArrayList<>();
        for (int i = 0; i < leaves.size(); i++) {
            // the vector's elements die with it
            gradients.add(new Tensor(made.get(i)));
        }
        return gradients;
    }

    @Override
    public void forgetGradient(Tensor leaf) {
        try (PointerScope _ = new PointerScope()) {
            leaf.mutable_grad().put(new Tensor());
        }
    }

    @Override
    public void setGradient(Tensor leaf, Tensor gradient) {
        try (PointerScope _ = new PointerScope()) {
            leaf.mutable_grad().put(torch.clone(gradient));
        }
    }

    @Override
    public void backward(Tensor loss) {
        loss.backward();
    }

    @Override
    public double item(Tensor t) {
        return t.item_float();
    }

    @Override
    public Updates adamW(List<Tensor> decayed, List<Tensor> others, double rate) {
        return new JavaCppAdamW(decayed, others, rate);
    }

    /// As Python's `torch.autocast`: it forgets the rounded weights at its end.
    @Override
    public Mixed mixed() {
        torch.set_autocast_dtype(DeviceType.CPU, ScalarType.BFloat16);
        torch.set_autocast_enabled(DeviceType.CPU, true);
        return () -> {
            torch.set_autocast_enabled(DeviceType.CPU, false);
            torch.clear_cache();
        };
    }
}
