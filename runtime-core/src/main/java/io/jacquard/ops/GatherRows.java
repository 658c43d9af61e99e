package io.jacquard.ops;

import io.jacquard.group.Group;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// The rows of all ranks, one rank's after the other's. Each rank computes something else from them, so the gradient of
/// a row is the sum over ranks, for the rank that has it. The opposite of [ScatterRows].
record GatherRows(Tensor x, Group group) implements Node {
    static Tensor of(Tensor x, Group group) {
        Checks.floating("gatherRows", x);
        Shape all = Shape.of(
                Math.toIntExact(x.shape().rows() * group.size()), x.shape().last());
        if (group.size() == 1) {
            return Reshape.of(x, all);
        }
        Tensor y = Tensor.empty(all, x.dtype());
        group.allGather(y, x).join();
        return y.from(new GatherRows(x, group));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        Temporary.gradient(
                into, x, dy.dtype(), dx -> group.reduceScatter(dx, dy).join());
    }
}
