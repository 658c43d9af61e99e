package io.jacquard.ops;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Scaled;
import java.util.List;

/// A matrix rounded to low precision and back. The gradient goes straight through (Bengio et al., arXiv:1308.3432):
/// scales are those of the largest magnitudes, so that no element is cut off.
record FakeQuantize(Tensor x) implements Node {
    static Tensor of(Tensor x, DType type, Scaled.Blocks blocks) {
        Checks.floating("fakeQuantize", x);
        Checks.rank("fakeQuantize", x, 2);
        if (!type.isScaled() || blocks.isWhole()) {
            throw new IllegalArgumentException("fakeQuantize: " + x + " to " + type
                    + (blocks.isWhole() ? " with one scale" : "") + "; expected F8E4M3, F8E5M2, I8 or I4, with scales"
                    + " of rows or of parts of them");
        }
        if (type == DType.I4 && x.shape().last() % 2 != 0) {
            throw new IllegalArgumentException("fakeQuantize: rows of " + x + " are of an odd number of elements, of"
                    + " which I4 packs two to a byte; expected an even number");
        }
        Tensor y = Tensor.empty(x.shape(), x.dtype());
        try (var _ = Scope.openWithoutGrad("quantized")) {
            Scaled q = Scaled.empty(x.shape().dim(0), x.shape().dim(1), type, blocks);
            x.kernels().quantize(q, null, x);
            LinearWatch.tell(w -> w.rounded(x, LinearWatch.Operand.WEIGHT, x, q));
            x.kernels().dequantize(y, q);
        }
        return y.from(new FakeQuantize(x));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.pass(x, dy);
    }
}
